"""Builds the disk of an infected PC at any stage, with real tools, and knows to the byte what is on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct

from tests.lab import hives, household, infection, odd, standins, traces, wncry
from tests.lab.plan import Kind, LabFile, TrueStream, true_stream
from tests.lab.tables import Layout, assemble, volume_offset
from tests.lab.volume import fill_volume, make_volume
from triage.model.verdict import Stage

TOOLS = ("mkntfs", "ntfs-3g", hives.HIVE_TOOL, "sfdisk", "mke2fs", "losetup", "umount")
INDICATORS_NAME = "lab-inert-standins.csv"
_MIB = 1024 * 1024


class DiskSpec(Struct, frozen=True, kw_only=True):
    """What disk to build.

    `work_directory` is the name that a published description of the generator gives for `computer_name`.
    `oddities` adds hostile names and every way in which NTFS stores a stream, `look_alikes` harmless things that
    resemble indicators, `many_files` a directory of that many; `without` takes kinds of artefacts of the infection
    away. The same `seed` gives the same documents.
    """

    stage: Stage = Stage.ENCRYPTING
    layout: Layout = Layout.MBR
    volume_bytes: int = 48 * _MIB
    cluster_bytes: int = 4096
    computer_name: str = "WIN7-PC"
    work_directory: str = "xjzilhxs261"
    label: str = "系统"
    oddities: bool = False
    look_alikes: tuple[odd.LookAlike, ...] = odd.LOOK_ALIKES
    without: tuple[infection.Artefact, ...] = ()
    many_files: int = 0
    seed: int = 2017


class BuiltDisk(Struct, frozen=True, kw_only=True):
    """A disk image and the truth about it.

    `streams` holds all streams that were written, deleted ones too; the volume's own ($MFT …) are not among
    them. `key` decrypts the containers. `indicators` is the stand-ins' set, beside the image.
    """

    image: Path
    spec: DiskSpec
    volume_offset_bytes: int
    volume_bytes: int
    streams: tuple[TrueStream, ...]
    key: rsa.RSAPrivateKey
    indicators: Path

    def of_kind(self, *kinds: Kind) -> tuple[TrueStream, ...]:
        """Return the streams of some kinds that are not deleted."""
        return tuple(one for one in self.streams if one.kind in kinds and not one.deleted)

    def stream(self, path: str, stream: str = "") -> TrueStream:
        """Return one stream by its first path; KeyError where there is none."""
        for one in self.streams:
            if (one.path, one.stream) == (path, stream):
                return one
        raise KeyError(f"{path}:{stream}")


def build_disk(spec: DiskSpec, path: Path) -> BuiltDisk:
    """Build the disk as a raw image at `path`; needs root and the programs of `TOOLS`."""
    key = wncry.make_test_key()
    files = plan_files(spec, key)
    offset = volume_offset(spec.layout)
    volume = path.with_name(f"{path.name}.volume")
    make_volume(
        volume,
        size_bytes=spec.volume_bytes,
        cluster_bytes=spec.cluster_bytes,
        offset_bytes=offset,
        label=spec.label,
    )
    fill_volume(volume, files)
    assemble(volume, path, spec.layout)
    volume.unlink()
    return BuiltDisk(
        image=path,
        spec=spec,
        volume_offset_bytes=offset,
        volume_bytes=spec.volume_bytes,
        streams=tuple(true_stream(file) for file in files if not file.path.endswith("/")),
        key=key,
        indicators=standins.write_indicators(path.with_name(INDICATORS_NAME)),
    )


def plan_files(spec: DiskSpec, key: rsa.RSAPrivateKey) -> list[LabFile]:
    """Return all files of a disk, in the order in which they are written."""
    planned = _plan(spec, key, Random(spec.seed))
    return [file for file in planned if not infection.is_of(file, spec.without, spec.work_directory)]


def _plan(spec: DiskSpec, key: rsa.RSAPrivateKey, random: Random) -> Iterator[LabFile]:
    resembling = odd.look_alike_services(spec.look_alikes)
    settings_stage = _stage_of(spec, infection.Artefact.SETTINGS)
    yield from household.windows_files(
        spec.computer_name,
        (*infection.services(_stage_of(spec, infection.Artefact.SERVICES), spec.work_directory), *resembling),
        infection.software_settings(settings_stage, spec.work_directory),
        infection.user_settings(settings_stage),
    )
    yield from traces.traces(spec.stage, spec.work_directory)
    yield from infection.infect(
        list(household.user_files(random)),
        stage=spec.stage,
        work_directory=spec.work_directory,
        key=key,
        random=random,
    )
    if spec.look_alikes:
        yield from odd.look_alikes(random, spec.look_alikes)
    if spec.oddities:
        yield from odd.hostile_names(random)
        yield from odd.storage_forms(random)
        yield from odd.links_and_streams(random)
    yield from odd.many_files(spec.many_files)


def _stage_of(spec: DiskSpec, artefact: infection.Artefact) -> Stage:
    """Return the stage that one kind of artefact shows: none where it was taken away."""
    return Stage.NONE if artefact in spec.without else spec.stage

"""Looking into evidence without a case: its volumes, a folder, a file's bytes. Reads, writes nothing, keeps nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from msgspec import Struct

from triage.evidence.device import refuse_if_mounted_read_write
from triage.evidence.open import open_evidence
from triage.model.entry import StreamState
from triage.model.errors import EvidenceError, UsageError, VolumeError
from triage.model.evidence import Evidence
from triage.model.filetime import filetime_to_iso
from triage.model.gap import Gap
from triage.model.text import _
from triage.model.volume import VolumeInfo
from triage.pipeline.discover import FoundVolume, discover
from triage.volumes.ntfs import NtfsVolume
from triage.walk.links import reparse_point
from triage.walk.mft import read_mft
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

_PLACE = re.compile(r":(v[0-9]+)(?:/|$)")


class Address(Struct, frozen=True, kw_only=True):
    """A place given as `EVIDENCE:VOLUME/PATH[:STREAM]`; `volume` is None where only evidence was given."""

    evidence: Path
    volume: str | None = None
    path: str = ""


class Listed(Struct, frozen=True, kw_only=True):
    """One line of a folder: an entry, or one of its named streams. `leads_to` is the target of a link."""

    path: str
    mft_entry: int
    is_directory: bool
    size_bytes: int
    modified: str | None
    leads_to: str = ""


def parse_address(text: str) -> Address:
    """Split an address at its volume; what stands before must be there, since file names may hold colons too.

    An unpaired surrogate in a path is given as its three bytes (WTF-8), such as `$'\\xed\\xa0\\xbd'` in a shell.
    """
    for match in _PLACE.finditer(text):
        evidence = Path(text[: match.start()])
        if evidence.exists():
            path = _as_on_disk(text[match.end() :].strip("/"))
            return Address(evidence=evidence, volume=match[1], path=path)
    return Address(evidence=Path(text))


def _as_on_disk(argument: str) -> str:
    """Return a path as names on disk are, from what Python makes of an argument whose bytes are no UTF-8."""
    try:
        return os.fsencode(argument).decode("utf-8", "surrogatepass")
    except UnicodeError:
        return argument


class Browser:
    """Evidence opened for looking; a context manager."""

    def __init__(self, path: Path) -> None:
        self.gaps: list[Gap] = []
        with ExitStack() as stack:
            source = stack.enter_context(open_evidence(path))
            refuse_if_mounted_read_write(path)
            self.evidence: Evidence = source.describe()
            self._found = discover([source], self.gaps.append)
            self._close = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.close()

    @property
    def volumes(self) -> tuple[VolumeInfo, ...]:
        """All volumes, examined or not."""
        return tuple(found.info for found in self._found)

    def folder(self, volume: str, path: str, *, recursive: bool) -> Iterator[Listed]:
        """Yield what a folder holds, streams with names behind their entries; of a file, the file itself."""
        opened = self._open(volume)
        wanted = opened.entry_at(path)
        prefix = opened.paths.of(wanted)[0]
        is_folder = bool(opened.table.entries.directory[wanted])
        for entry in opened.entries:
            for name in opened.paths.of(entry):
                listed = (
                    entry != wanted and _lies_in(name, prefix, recursive=recursive) if is_folder else entry == wanted
                )
                if listed:
                    yield from opened.lines(entry, name)

    def content(self, volume: str, path: str) -> Iterator[bytes]:
        """Yield a stream's bytes; `VolumeError` where it cannot be read whole, after what could be."""
        opened = self._open(volume)
        streams, stream = opened.streams, ""
        try:
            entry = opened.entry_at(path)
        except UsageError:
            name, _colon, stream = path.rpartition(":")
            if not name:
                raise
            entry = opened.entry_at(name)
        head = next((h for h in streams.heads_of(entry) if streams.name(h) == stream), None)
        if head is None and not stream:
            raise UsageError(_("{path} is a folder").format(path=path or "/"), hint=_("list it with triage ls"))
        if head is None:
            raise UsageError(
                _("{path}: no such stream").format(path=path), hint=_("triage ls shows the streams of a file")
            )
        plan, reader = streams.plan(head), StreamReader()
        for window in reader.windows(streams.volume, plan, thorough=True):
            yield bytes(window.view[window.fresh :])
        if reader.state is not StreamState.READ:
            detail = "; ".join(gap.detail for gap in reader.gaps(plan)) or reader.reason
            raise VolumeError(_("{path} was not read whole: {detail}").format(path=path, detail=detail))

    def _open(self, volume: str) -> _Opened:
        found = self._find(volume)
        if found.ntfs is None:
            raise VolumeError(_("{volume} cannot be read: {why}").format(volume=volume, why=found.info.why_not))
        return _Opened(found.ntfs)

    def _find(self, volume: str) -> FoundVolume:
        for found in self._found:
            if found.info.id == volume:
                return found
        names = ", ".join(found.info.id for found in self._found)
        raise UsageError(
            _("no volume {volume} in this evidence; there are: {names}").format(volume=volume, names=names)
        )


class _Opened:
    """One enumerated volume."""

    def __init__(self, ntfs: NtfsVolume) -> None:
        self.table = read_mft(ntfs)
        self.paths = Paths(self.table)
        self.streams = Streams(ntfs, self.table, self.paths)
        self.entries: list[int] = np.flatnonzero(self.table.base).tolist()

    def entry_at(self, path: str) -> int:
        """Return the entry at a path: exactly so, or the only one that differs in case alone."""
        lowered: set[int] = set()
        for entry in self.entries:
            for name in self.paths.of(entry):
                if name == path:
                    return entry
                if name.lower() == path.lower():
                    lowered.add(entry)
        if len(lowered) == 1:
            return lowered.pop()
        raise UsageError(
            _("no such path on the volume: {path}").format(path=path), hint=_("triage ls shows what is there")
        )

    def lines(self, entry: int, path: str) -> Iterator[Listed]:
        """Yield an entry and its named streams."""
        rows = self.table.streams
        sizes = {self.streams.name(head): int(rows.size_bytes[head]) for head in self.streams.heads_of(entry)}
        is_directory = bool(self.table.entries.directory[entry])
        modified = filetime_to_iso(self.table.entries.times(entry).modified)
        point = reparse_point(self.streams.volume, self.table, entry)
        yield Listed(
            path=path,
            mft_entry=entry,
            is_directory=is_directory,
            size_bytes=sizes.pop("", 0),
            modified=modified,
            leads_to="" if point is None else point.target,
        )
        for stream, size_bytes in sizes.items():
            yield Listed(
                path=f"{path}:{stream}",
                mft_entry=entry,
                is_directory=False,
                size_bytes=size_bytes,
                modified=modified,
            )


def _lies_in(name: str, folder: str, *, recursive: bool) -> bool:
    if folder and not name.startswith(folder + "/"):
        return False
    return recursive or "/" not in name[len(folder) + 1 if folder else 0 :]


def require_volume(address: Address) -> str:
    """Return the address's volume; `UsageError` where it has none."""
    if address.volume is None:
        if not address.evidence.exists():
            raise EvidenceError(_("{path} does not exist").format(path=address.evidence))
        raise UsageError(_("name a volume too: {path}:v1/…; triage list shows them").format(path=address.evidence))
    return address.volume

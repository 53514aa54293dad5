"""The write proof: it holds when nothing was written, and every foreign write during a run breaks it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.loops import loop_device, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from triage.evidence.device import set_read_only
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.evidence.write_proof import take_after, take_before
from triage.model.evidence import EvidenceFormat, WriteProof, WriteProofMethod

MIB = 1 << 20


def no_progress(_hashed_bytes: int) -> None:
    """Show nothing."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.raw"
    path.write_bytes(os.urandom(5 * MIB))
    return path


def proof_around(path: Path, change: Callable[[EvidenceSource], object], *, hash_evidence: bool = False) -> WriteProof:
    """Take the proof around `change`, which happens while the evidence is read."""
    with open_evidence(path) as source:
        proof = take_before(source, hash_evidence=hash_evidence, progress=no_progress)
        source.read(0, MIB)
        change(source)
        return take_after(source, proof, progress=no_progress)


def differing(proof: WriteProof) -> set[str]:
    assert proof.after is not None
    return {key for key in proof.before | proof.after if proof.before.get(key) != proof.after.get(key)}


def overwrite(path: Path, *, keep_mtime: bool = False) -> None:
    """Write one byte in place; with `keep_mtime` hide it as well as a program can."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(4 * MIB)
        file.write(bytes([file.read(1)[0] ^ 0xFF]))
        file.seek(4 * MIB)
    with path.open("r+b") as file:
        file.write(bytes([file.read(1)[0] ^ 0xFF]))
    if keep_mtime:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@needs_tool("sha256sum", "stat")
def test_untouched_image(image: Path) -> None:
    hashed: list[int] = []
    with open_evidence(image) as source:
        before = take_before(source, hash_evidence=True, progress=hashed.append)
        proof = take_after(source, before, progress=no_progress)
    assert proof.unchanged is True
    assert proof.method is WriteProofMethod.FILE
    assert sum(hashed) == 5 * MIB
    assert before.after is None
    assert before.unchanged is None
    assert proof.after == proof.before
    assert proof.before["sha256"] == run("sha256sum", image).split()[0]
    assert proof.before["image.raw.size_bytes"] == 5 * MIB
    assert proof.before["image.raw.inode"] == int(run("stat", "-c", "%i", image))
    assert seconds_and_fraction(proof, "modified_utc") == run("date", "-u", "-r", image, "+%FT%T.%NZ").strip()
    assert len(proof.before) == 5


def seconds_and_fraction(proof: WriteProof, name: str) -> str:
    return str(proof.before[f"image.raw.{name}"])


def test_without_digest_nothing_is_hashed(image: Path) -> None:
    proof = proof_around(image, lambda source: source.read(0, 10))
    assert proof.unchanged is True
    assert "sha256" not in proof.before


def test_split_image_has_facts_for_each_segment_and_one_digest(tmp_path: Path, image: Path) -> None:
    data = image.read_bytes()
    for number in range(5):
        (tmp_path / f"disk.00{number + 1}").write_bytes(data[number * MIB : (number + 1) * MIB])
    first, third = tmp_path / "disk.001", tmp_path / "disk.003"
    untouched = proof_around(first, lambda _: None, hash_evidence=True)
    assert untouched.before["sha256"] == run("sha256sum", image).split()[0]
    assert untouched.unchanged is True
    touched = proof_around(first, lambda _: third.write_bytes(bytes(MIB)))
    assert touched.unchanged is False
    assert differing(touched) == {"disk.003.modified_utc", "disk.003.changed_utc"}


def test_foreign_write_is_seen_by_the_times(image: Path) -> None:
    proof = proof_around(image, lambda _: overwrite(image))
    assert proof.unchanged is False
    assert differing(proof) == {"image.raw.modified_utc", "image.raw.changed_utc"}


def test_foreign_write_with_its_time_set_back_is_seen_by_ctime(image: Path) -> None:
    proof = proof_around(image, lambda _: overwrite(image, keep_mtime=True))
    assert proof.unchanged is False
    assert differing(proof) == {"image.raw.changed_utc"}


def test_foreign_write_without_ctime_is_seen_by_the_digest_alone(image: Path) -> None:
    """A file system without ctime is imitated: the proof before the write is given the ctime after it."""
    with open_evidence(image) as source:
        proof = take_before(source, hash_evidence=True, progress=no_progress)
        overwrite(image, keep_mtime=True)
        blind = take_before(source, hash_evidence=False, progress=no_progress).before
        proof = msgspec.structs.replace(proof, before=proof.before | blind)
        after = take_after(source, proof, progress=no_progress)
    assert after.unchanged is False
    assert differing(after) == {"sha256"}


def test_write_through_a_mapping_is_seen(image: Path) -> None:
    def write(_source: EvidenceSource) -> None:
        with image.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
            mapping[4 * MIB] ^= 0xFF

    assert proof_around(image, write, hash_evidence=True).unchanged is False


@pytest.mark.parametrize("hash_evidence", [False, True])
def test_vanished_file(image: Path, hash_evidence: bool) -> None:
    proof = proof_around(image, lambda _: image.unlink(), hash_evidence=hash_evidence)
    assert proof.unchanged is False
    assert proof.after is not None
    assert proof.after["image.raw.size_bytes"] is None


def test_replaced_file(image: Path) -> None:
    def replace(_source: EvidenceSource) -> None:
        status = image.stat()
        copy = image.with_name("copy")
        copy.write_bytes(image.read_bytes())
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        copy.rename(image)

    proof = proof_around(image, replace)
    assert proof.unchanged is False
    assert "image.raw.inode" in differing(proof)


def test_truncated_file_cannot_be_hashed_and_says_where(image: Path) -> None:
    proof = proof_around(image, lambda _: os.truncate(image, 3 * MIB), hash_evidence=True)
    assert proof.unchanged is False
    assert proof.after is not None
    assert proof.after["sha256"] is None
    assert proof.after["sha256_unreadable_offset_bytes"] == 0


def test_proof_survives_json(image: Path) -> None:
    proof = proof_around(image, lambda _: None)
    assert msgspec.json.decode(msgspec.json.encode(proof), type=WriteProof) == proof


def test_time_that_no_calendar_has(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triage.evidence.write_proof import _utc

    assert _utc(1 << 62 << 10) == f"{1 << 72} ns"
    assert _utc(-1) == "1969-12-31T23:59:59.999999999Z"


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool("losetup", "blockdev", "sfdisk", "partx", "dd")
class TestDevice:
    @pytest.fixture
    def disk(self, image: Path) -> Path:
        run("sh", "-c", f"echo 'start=2048,type=7' | sfdisk -q {image}")
        return image

    @pytest.fixture
    def node(self, disk: Path) -> Iterator[Path]:
        with loop_device(disk) as device:
            yield device

    def test_untouched(self, node: Path, disk: Path) -> None:
        set_read_only(node)
        proof = proof_around(node, lambda _: None, hash_evidence=True)
        assert proof.unchanged is True
        assert proof.method is WriteProofMethod.DEVICE
        assert proof.before["sha256"] == run("sha256sum", disk).split()[0]
        for name in (node.name, f"{node.name}p1"):
            assert proof.before[f"{name}.read_only"] is True
            fields = Path(f"/sys/class/block/{name}/stat").read_text().split()
            assert proof.before[f"{name}.written_sectors"] == int(fields[6])
        assert proof.before[f"{node.name}.size_bytes"] == 5 * MIB
        assert proof.before[f"{node.name}p1.size_bytes"] == 4 * MIB

    @pytest.mark.parametrize("through", ["", "p1"])
    def test_write_through_a_node_is_counted(self, node: Path, through: str) -> None:
        def write(_source: EvidenceSource) -> None:
            run(
                "dd",
                "if=/dev/urandom",
                f"of={node}{through}",
                "bs=4096",
                "count=2",
                "conv=fsync,notrunc,nocreat",
            )

        proof = proof_around(node, write)
        assert proof.unchanged is False
        assert f"{node.name}.written_sectors" in differing(proof)
        assert f"{node.name}.write_ios" in differing(proof)

    def test_discard_is_counted(self, node: Path) -> None:
        if Path(f"/sys/class/block/{node.name}/queue/discard_max_bytes").read_text().strip() == "0":
            pytest.skip("needs a file system that can punch holes")
        proof = proof_around(node, lambda _: run("blkdiscard", "-f", "-o", "0", "-l", "1048576", node))
        assert proof.unchanged is False
        assert f"{node.name}.discarded_sectors" in differing(proof)

    def test_write_to_the_file_behind_a_loop_device(self, node: Path, disk: Path) -> None:
        """The device's counters do not move, but the file's times do."""
        set_read_only(node)
        proof = proof_around(node, lambda _: overwrite(disk))
        assert proof.unchanged is False
        prefix = f"{node.name}.backing_file"
        assert differing(proof) == {f"{prefix}.modified_utc", f"{prefix}.changed_utc"}

    def test_hidden_write_to_the_file_behind_is_seen_by_the_digest(self, node: Path, disk: Path) -> None:
        """The device has cached the bytes as they were; the digest is taken from the medium again."""
        proof = proof_around(node, lambda _: overwrite(disk), hash_evidence=True)
        assert "sha256" in differing(proof)

    def test_flag_taken_away(self, node: Path) -> None:
        set_read_only(node)
        proof = proof_around(node, lambda _: run("blockdev", "--setrw", node))
        assert proof.unchanged is False
        assert differing(proof) == {f"{node.name}.read_only"}

    def test_partition_as_evidence_covers_its_disk(self, node: Path) -> None:
        def write(_source: EvidenceSource) -> None:
            run("dd", "if=/dev/urandom", f"of={node}", "bs=512", "count=1", "conv=fsync,notrunc,nocreat")

        assert proof_around(Path(f"{node}p1"), write).unchanged is False

    def test_new_holder(self, node: Path) -> None:
        with open_evidence(node) as source:
            proof = take_before(source, hash_evidence=False, progress=no_progress)
            with loop_device(node) as upper:
                after = take_after(source, proof, progress=no_progress)
        assert after.unchanged is False
        assert f"{upper.name}.size_bytes" in differing(after)


def test_vanished_device_leaves_no_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that was pulled: sysfs knows its number no more."""
    with open_evidence(sparse(tmp_path / "disk.raw", MIB)) as source:
        proof = WriteProof(method=WriteProofMethod.DEVICE, before={"sdz.size_bytes": MIB})
        monkeypatch.setattr(source, "format", EvidenceFormat.DEVICE)
        after = take_after(source, proof, progress=no_progress)
    assert after.after == {}
    assert after.unchanged is False

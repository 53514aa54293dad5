"""Bad input: one clear line, the right exit code, nothing lost and nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.command import copied, here, report_of, said_in, tree, triage
from tests.loops import loop_device, mounted, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.test_evidence import unprivileged
from triage.demo import unpack_demo
from triage.model.gap import GapKind

MIB = 1 << 20
_IN_BAG = 26  # users' files of the demonstration that are saved
NOT_AN_IMAGE = "is not a disk image, or an empty disk: no partition table that names a partition; "
needs_loops = [needs_root(), needs_device("/dev/loop-control"), needs_tool("losetup", "mkfs.ext4", "mount", "umount")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_demo(tmp_path_factory.mktemp("demo"))


def _file(content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "evidence").write_bytes(content)
        return folder / "evidence"

    return make


def _folder(folder: Path) -> Path:
    (folder / "evidence").mkdir()
    return folder / "evidence"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "evidence")
    return folder / "evidence"


EMPTY_TABLE = bytes(510) + b"\x55\xaa" + bytes(MIB)
BAD_EVIDENCE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "none", "does not exist; check the spelling"),
    "below a file": (lambda folder: _file(b"x")(folder) / "x", "does not exist; check the spelling"),
    "empty": (_file(b""), "is empty; check that the image was copied completely"),
    "folder": (_folder, "is a folder; give a disk image or a device such as /dev/sdb"),
    "pipe": (_pipe, "is neither a file nor a block device; give a disk image or a device such as /dev/sdb"),
    "character device": (lambda _folder: Path("/dev/null"), "is neither a file nor a block device; give "),
    "text": (_file(b"a letter\r\n" * 1000), NOT_AN_IMAGE),
    "one byte": (_file(b"x"), "is not a disk image, or an empty disk: "),
    "zeros": (_file(bytes(MIB)), NOT_AN_IMAGE),
    "noise": (_file(Random(1).randbytes(MIB)), NOT_AN_IMAGE),
    "empty partition table": (_file(EMPTY_TABLE), NOT_AN_IMAGE),
}


@pytest.mark.parametrize("kind", BAD_EVIDENCE)
def test_evidence_that_is_none(tmp_path: Path, kind: str) -> None:
    make, words = BAD_EVIDENCE[kind]
    evidence = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    commands = [("run", evidence, "--out", tmp_path / "case", "--quiet"), ("list", evidence)]
    if evidence.exists():
        commands += [("ls", f"{evidence}:v1/"), ("cat", f"{evidence}:v1/file")]
    for command in commands:
        ran = here(*command)
        assert (ran.code, ran.out) == (1, "")
        assert ran.error_line.startswith(f"{evidence} {words}")
    assert sorted(tmp_path.iterdir()) == before


def test_evidence_that_cannot_be_read(image: Path, tmp_path: Path) -> None:
    evidence = copied(image, tmp_path)
    evidence.chmod(0)
    tmp_path.chmod(0o777)
    with unprivileged():
        ran = here("run", evidence, "--out", tmp_path / "case", "--quiet")
    assert (ran.code, ran.error_line) == (
        1,
        f"no permission to read {evidence}; run as root, or copy the image",
    )


def test_one_bad_evidence_of_several_is_told_before_a_case_is_made(image: Path, tmp_path: Path) -> None:
    ran = here("run", image, tmp_path / "second.img", "--out", tmp_path / "case")
    assert (ran.code, ran.error_line) == (1, f"{tmp_path / 'second.img'} does not exist; check the spelling")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["new\nline", "\x1b[31mred", b"no utf-8 \xff", "<b>markup<b>", "-dash", "v1:v2:"])
def test_evidence_and_case_may_have_any_name(image: Path, tmp_path: Path, name: str | bytes) -> None:
    given = os.fsdecode(name)
    evidence = tmp_path / f"{given}.img"
    evidence.hardlink_to(image)
    ran = triage(
        "run", "--quiet", "--out", tmp_path / given, "--rescue-to", tmp_path / f"r{given}", "--notes", name,
        "--examiner", name, "--case-id", name, "--", evidence,
    )  # fmt: skip
    assert (ran.code, ran.err) == (10, "")
    assert report_of(tmp_path / given).evidence[0].path == str(evidence)
    assert "<b>markup" not in (tmp_path / given / "report.html").read_text(encoding="utf-8")
    verified = triage("verify", tmp_path / given)
    assert verified.code == 0, verified
    assert "\x1b" not in ran.out + verified.out
    assert "WNCRY" in triage("ls", "-r", f"{evidence}:v1/Users").out
    assert len((tmp_path / given / "case.log").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize("kept_bytes", [MIB - 512, MIB + 4096, 3 * MIB, 9 * MIB, 24 * MIB])
def test_truncated_image_is_examined_as_far_as_it_goes(image: Path, tmp_path: Path, kept_bytes: int) -> None:
    evidence = copied(image, tmp_path)
    os.truncate(evidence, kept_bytes)
    case = tmp_path / "case"
    ran = triage("run", evidence, "--out", case)
    report = report_of(case)
    assert ran.code == (10 if report.findings else 3)
    assert GapKind.EVIDENCE_TRUNCATED in {gap.kind for gap in report.gaps}
    assert any(gap.material for gap in report.gaps)
    said_in(case, ["evidence shorter than it should be"])
    assert triage("verify", case).code == 0


def test_damaged_boot_sector_costs_nothing_but_a_gap(image: Path, tmp_path: Path) -> None:
    evidence = copied(image, tmp_path)
    with evidence.open("r+b") as file:
        file.seek(MIB)
        file.write(bytes(512))
    assert triage("run", evidence, "--out", tmp_path / "case").code == 10
    report = report_of(tmp_path / "case")
    assert GapKind.BOOT_SECTOR in {gap.kind for gap in report.gaps}
    assert report.coverage.streams_by_state["read"] > 50


@pytest.mark.parametrize("seed", range(6))
def test_damage_anywhere_ends_in_a_sealed_case_or_one_line(image: Path, tmp_path: Path, seed: int) -> None:
    random, evidence, case = Random(seed), copied(image, tmp_path), tmp_path / "case"
    with evidence.open("r+b") as file:
        for _ in range(40 * 2**seed):
            file.seek(random.choice((0, MIB, MIB + random.randrange(2 * MIB), random.randrange(26 * MIB))))
            file.write(random.randbytes(random.choice((1, 8, 100))))
    ran = triage("run", evidence, "--out", case, "--quiet")
    assert ran.code in (1, 3, 10), ran
    if ran.code == 1:
        assert ran.error_line
    else:
        assert triage("verify", case).code == 0


@needs_tool("mkfs.ext4", "mkfs.exfat")
@pytest.mark.parametrize(
    ("kind", "material", "meaning"),
    [
        ("ext4", False, "Windows keeps no documents there"),
        ("exfat", True, "documents that may lie there were neither examined nor saved"),
    ],
)
def test_a_volume_that_is_not_ntfs_is_listed_with_the_reason(
    tmp_path: Path, kind: str, material: bool, meaning: str
) -> None:
    evidence = sparse(tmp_path / "other.img", 4 * MIB)
    run(f"mkfs.{kind}", evidence)
    listed = here("list", evidence)
    assert listed.code == 0
    assert f"{kind}: only NTFS is examined" in listed.out
    ran = triage("run", evidence, "--out", tmp_path / "case")
    assert ran.code == 3
    report = report_of(tmp_path / "case")
    (volume,) = report.volumes
    assert (volume.examined, volume.why_not) == (False, f"{kind}: only NTFS is examined")
    (gap,) = [gap for gap in report.gaps if gap.where.volume == "v1"]
    assert (gap.detail, gap.material) == (f"{kind}: only NTFS is examined; {meaning}", material)
    assert (f"volume not examined: {gap.detail}  v1" in ran.out) == material
    material_gaps = sum(gap.material for gap in report.gaps)
    assert f"Gaps: {len(report.gaps)}, {material_gaps} of them material: volume not examined\n" in ran.out
    assert here("ls", f"{evidence}:v1/").error_line == f"v1 cannot be read: {kind}: only NTFS is examined"


LISTS = {
    ("--rules", "rule x { condition: no_such }\n"): ', line 1: undefined identifier "no_such"; ',
    ("--rules", "\n\nrule {"): ", line 3: ",
    ("--ioc", "# comment\nnot a digest\n"): ", line 2: ",
    ("--ioc", "md5,name\n123,a\n"): ", line 2: ",
    ("--known-good", "zz\n"): ", line 1: ",
}


@pytest.mark.parametrize(("option", "content"), LISTS)
def test_an_error_in_rules_or_lists_is_named_before_anything_is_read(
    image: Path, tmp_path: Path, option: str, content: str
) -> None:
    given = tmp_path / "given.txt"
    given.write_text(content)
    ran = here("run", image, "--out", tmp_path / "case", option, given)
    assert ran.code == 2
    assert ran.error_line.startswith(f"{given}{LISTS[option, content]}")
    assert list(tmp_path.iterdir()) == [given]
    missing = here("run", image, "--out", tmp_path / "case", option, tmp_path / "none")
    assert (missing.code, missing.error_line.startswith(f"{tmp_path / 'none'}: cannot be read: ")) == (2, True)


def test_an_existing_case_is_not_touched_not_one_byte(image: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    assert triage("run", image, "--out", case).code == 10
    before = tree(case)
    ran = here("run", image, "--out", case)
    said = f"{case} exists already; a case is never overwritten; give a new folder, or --resume {case} to go on"
    assert (ran.code, ran.error_line) == (1, f"{said} with that case")
    assert tree(case) == before


def test_destinations_that_cannot_be_used(image: Path, tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "a letter").write_text("mine")
    file.write_text("mine")
    case = tmp_path / "case"
    before = tree(tmp_path)
    for options, words in {
        ("--out", tmp_path / "no" / "case"): "cannot be made: its parent folder does not exist; make ",
        ("--out", file): "is not a folder; give a folder",
        ("--out", file / "case"): "is not a folder; give a folder",
        ("--out", full): "exists already; a case is never overwritten; ",
        ("--out", case, "--rescue-to", full): "is not empty; name a new folder",
        ("--out", case, "--rescue-to", file): "is not a folder; give a folder",
        ("--out", case, "--rescue-to", tmp_path / "no" / "bag"): "its parent folder does not exist; make ",
        ("--out", case, "--rescue-to", tmp_path): "would hold the case folder; ",
        ("--out", case, "--rescue-to", case): "would hold the case folder; ",
        ("--out", image): "is the evidence; give a folder on another disk",
        ("--out", "/proc/case"): "",
    }.items():
        ran = here("run", image, *options, "--quiet")
        assert ran.code == 1
        assert words in ran.error_line
        assert tree(tmp_path) == before


def test_a_destination_without_permission(image: Path, tmp_path: Path) -> None:
    image.parent.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o77 == 0:  # made by pytest for its user alone
            folder.chmod(0o755)
    with unprivileged():
        ran = here("run", image, "--out", tmp_path / "case")
    assert ran.code == 1
    assert f"no permission to write to the destination {tmp_path / 'case'}; " in ran.error_line


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """The image of an ext4 volume without a journal."""
    disk = sparse(tmp_path / "small.img", 20 * MIB)
    run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-N", "1024", disk)
    return disk


def fill(folder: Path, *, leave_bytes: int) -> Path:
    """Fill a file system up to so many bytes."""
    status = os.statvfs(folder)
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leave_bytes)
    return filler


@pytest.mark.usefixtures("_loops")
class TestOnSmallDisks:
    @pytest.fixture
    def _loops(self) -> None:
        for need in needs_loops:
            if need.args[0]:
                pytest.skip(need.kwargs["reason"])

    def test_a_read_only_destination(self, image: Path, small_disk: Path, tmp_path: Path) -> None:
        with mounted(small_disk, tmp_path / "mnt", "-o", "loop,ro") as folder:
            for options in (("--out", folder / "case"), ("--out", tmp_path / "case", "--rescue-to", folder / "bag")):
                ran = here("run", image, *options)
                assert (ran.code, "is on a read-only file system; give another folder" in ran.error_line) == (1, True)
        assert not (tmp_path / "case").exists()

    def test_a_destination_on_the_evidence_itself(self, small_disk: Path, tmp_path: Path) -> None:
        with (
            loop_device(small_disk, "--read-only") as device,
            mounted(device, tmp_path / "mnt", "-o", "ro") as folder,
        ):
            for evidence in (small_disk, device):
                for options in (("--out", folder / "case"), ("--out", tmp_path / "case", "--rescue-to", folder / "b")):
                    ran = here("run", evidence, *options)
                    assert ran.code == 1
                    assert f"lies on the evidence ({device}, mounted at {folder}); give a folder" in ran.error_line
        assert not (tmp_path / "case").exists()

    def test_evidence_that_is_mounted_read_write(self, small_disk: Path, tmp_path: Path) -> None:
        with loop_device(small_disk) as device, mounted(device, tmp_path / "mnt") as folder:
            for evidence in (small_disk, device):
                for command in (("run", evidence, "--out", tmp_path / "case"), ("list", evidence)):
                    ran = here(*command)
                    assert ran.code == 1
                    assert f"{evidence} is in use: {device} is mounted read-write at {folder}; umount" in ran.error_line
        assert not (tmp_path / "case").exists()

    def test_no_room_for_a_case_leaves_nothing(self, image: Path, small_disk: Path, tmp_path: Path) -> None:
        with mounted(small_disk, tmp_path / "mnt", "-o", "loop") as folder:
            fill(folder, leave_bytes=4 * MIB)
            ran = triage("run", image, "--out", folder / "case", "--quiet")
            assert ran.code == 1
            assert f"not enough space for the report in {folder / 'case'}: No space left" in ran.error_line
            assert not (folder / "case").exists()

    def test_no_room_for_rescued_files_leaves_nothing(self, image: Path, small_disk: Path, tmp_path: Path) -> None:
        with mounted(small_disk, tmp_path / "mnt", "-o", "loop") as folder:
            fill(folder, leave_bytes=0)
            before = tree(tmp_path)
            ran = here("run", image, "--out", tmp_path / "case", "--rescue-to", folder / "bag")
            assert (ran.code, tree(tmp_path) == before) == (1, True)
            assert ran.error_line.startswith(f"the rescue destination {folder / 'bag'} is full; ")

    @pytest.mark.parametrize("leave_kib", [8300, 8400, 8500])
    def test_a_case_that_fills_its_disk_is_sealed_and_resumed(
        self, image: Path, small_disk: Path, tmp_path: Path, leave_kib: int
    ) -> None:
        with mounted(small_disk, tmp_path / "mnt", "-o", "loop") as folder:
            case = folder / "case"
            filler = fill(folder, leave_bytes=leave_kib * 1024)
            self.ends_early_and_goes_on(image, case, filler, "--out", case)

    @pytest.mark.parametrize("leave_kib", [24, 60, 150])
    def test_a_rescue_that_fills_its_disk_says_what_was_not_saved(
        self, image: Path, small_disk: Path, tmp_path: Path, leave_kib: int
    ) -> None:
        with mounted(small_disk, tmp_path / "mnt", "-o", "loop") as folder:
            case = tmp_path / "case"
            filler = fill(folder, leave_bytes=leave_kib * 1024)
            self.ends_early_and_goes_on(image, case, filler, "--out", case, "--rescue-to", folder / "bag")

    def ends_early_and_goes_on(self, image: Path, case: Path, filler: Path, *options: str | Path) -> None:
        ran = triage("run", image, *options, "--quiet")
        assert (ran.code, ran.err) == (1, "")
        report = report_of(case)
        assert report.case.fatal is not None
        assert "full" in report.case.fatal or "No space left" in report.case.fatal
        assert f"The run ended early: {report.case.fatal}" in ran.out
        said_in(case, ["The run ended early: "])
        assert report.rescue is not None
        assert sum(report.rescue.by_outcome.values()) >= report.rescue.files
        assert triage("verify", case).code == 0
        filler.unlink()
        assert triage("run", "--resume", case).code == 10
        report = report_of(case)
        assert (report.case.fatal, report.gaps) == (None, ())
        assert report.rescue is not None
        assert report.rescue.files == _IN_BAG
        assert not {"failed", "interrupted"} & report.rescue.by_outcome.keys()
        assert triage("verify", case).code == 0

"""The text screen and what stands in the way of a PC: real disks where possible, else the kernel's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loops import run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.sticks import MIB, TOOLS, LiveSystem, live_system, make_stick
from triage.live import obstacles as obstacles_module
from triage.live import state as state_module
from triage.live.disks import _NO_DISK, Disk, disks_of_pc
from triage.live.lock import lock_others
from triage.live.obstacles import obstacles
from triage.live.problem import Problem
from triage.live.screen import disk_line, new_case_folder, screen_text
from triage.live.state import StickState, read_state
from triage.live.stick import prepare_stick
from triage.model.text import set_language
from triage.model.volume import VolumeInfo

STATE = StickState(disk="/dev/sdb", partition="/dev/sdb1", mount_point="/media/triage", free_bytes=14_000_000_000)


def disk(node: str = "/dev/sda", *, filesystem: str = "ntfs", removable: bool = False, unreadable: str = "") -> Disk:
    volume = VolumeInfo(
        id="v1",
        evidence=0,
        offset_bytes=MIB,
        length_bytes=100 * MIB,
        filesystem=filesystem,
        examined=filesystem == "ntfs",
        label="系统",
    )
    return Disk(
        node=Path(node),
        size_bytes=500_000_000_000,
        model="WDC WD5000AAKX",
        bus="ATA",
        removable=removable,
        volumes=() if unreadable else (volume,),
        unreadable=unreadable,
    )


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PC without PCI devices and with 2 GB of memory."""
    monkeypatch.setattr(obstacles_module, "_PCI_DEVICES", tmp_path / "pci")
    monkeypatch.setattr(obstacles_module, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal:        2016216 kB\nMemFree:   1 kB\n")
    return tmp_path


def controller(kernel: Path, address: str, **attributes: str) -> None:
    folder = kernel / "pci" / address
    folder.mkdir(parents=True)
    for name, value in attributes.items():
        (folder / name.replace("klass", "class")).write_text(f"{value}\n")


def said(*disks: Disk) -> str:
    return "\n".join(map(str, obstacles(disks)))


def test_screen_shows_stick_disks_and_the_command(kernel: Path) -> None:
    text = screen_text(STATE, (disk(), disk("/dev/nvme0n1")), (), 80)
    assert "Stick: /dev/sdb, 14.0 GB free at /media/triage\n" in text
    assert (
        "  /dev/sda  500 GB  ATA  WDC WD5000AAKX\n    v1  offset 1048576  105MB    ntfs «系统»  will be examined\n"
        in text
    )
    assert f"  triage run /dev/sda /dev/nvme0n1 --out {new_case_folder(STATE).parent}/case-20" in text
    assert "ATTENTION" not in text


def test_screen_without_stick_offers_nothing_that_cannot_be_done() -> None:
    problem = Problem(message="the stick is not there any more", hint="start anew")
    text = screen_text(StickState(problems=(problem,)), (disk(),), (), 80)
    assert "NOTHING CAN BE SAVED" in text
    assert "  ! the stick is not there any more; start anew\n" in text
    assert "triage run" not in text


def test_stick_that_was_not_prepared_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "RUN_FOLDER", tmp_path)
    text = screen_text(read_state(), (disk(),), (), 120)
    assert "NOTHING CAN BE SAVED" in text
    assert "  ! the stick was not prepared: the system did not get that far; to try once more, type: " in text
    assert "triage run" not in text


def test_screen_leaves_out_what_a_run_would_refuse() -> None:
    disks = (disk(), disk("/dev/sdc", removable=True), disk("/dev/sdd", unreadable="input/output error"))
    text = screen_text(STATE, disks, (), 80)
    assert "triage run /dev/sda --out" in text
    assert "/dev/sdc  500 GB  ATA  removable" in text
    assert "    cannot be examined: input/output error\n" in text


def test_screen_fits_a_plain_terminal_and_is_not_commanded_by_it() -> None:
    long = Problem(message="word " * 60 + "{evil}", fields={"evil": "\x1b[2Jx"})
    text = screen_text(STATE, (), (long,), 80)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\\x1b[2Jx" in text


def test_screen_in_chinese() -> None:
    set_language("zh_CN")
    try:
        text = screen_text(STATE, (disk(removable=True),), (Problem(message="no disk was found in this PC"),), 80)
    finally:
        set_language("en")
    assert "可移动" in text
    assert "no disk" not in text


def test_controller_that_hides_its_disks(kernel: Path) -> None:
    """A RAID-mode controller or Intel's VMD without a disk below it; the others are none of ours."""
    controller(kernel, "0000:00:17.0", klass="0x010400", vendor="0x8086")
    controller(kernel, "0000:00:1f.2", klass="0x010601", vendor="0x8086")
    controller(kernel, "0000:00:02.0", klass="0x030000", vendor="0x8086")
    text = said(disk())
    assert text.startswith("the disk controller 0000:00:17.0 is in RAID mode and may hide its disks; set SATA mode")
    assert "to AHCI in the firmware setup, and back afterwards" in text
    assert text.count("controller") == 1


def test_controller_with_a_disk_below_it_hides_nothing(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controller(kernel, "0000:00:0e.0", klass="0x010400", vendor="0x8086")
    below = Path("/sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e1:00.0/nvme/nvme0/nvme0n1")
    monkeypatch.setattr(obstacles_module, "all_devices", lambda: (disk_device(),))
    monkeypatch.setattr(obstacles_module, "system_path", lambda _name: below)
    assert said(disk()) == ""


def disk_device() -> object:
    from triage.evidence.sysfs import BlockDevice

    return BlockDevice("nvme0n1", 0, Path("/dev/nvme0n1"))


@pytest.mark.parametrize(("remapped", "hidden"), [("1", True), ("0", False)])
def test_nvme_disk_behind_intel_rst(kernel: Path, remapped: str, hidden: bool) -> None:
    controller(kernel, "0000:00:17.0", klass="0x010601", remapped_nvme=remapped)
    assert ("hides an NVMe disk" in said(disk())) == hidden


def test_locked_volume_little_memory_and_no_disk_are_named(kernel: Path) -> None:
    assert said(disk()) == ""
    assert "volume v1 of /dev/sda is locked with BitLocker" in said(disk(filesystem="bitlocker"))
    assert "no disk was found in this PC" in said()
    (kernel / "meminfo").write_text("MemTotal:         505000 kB\n")
    assert "this PC has 493 MiB of memory; 1 GB is needed" in said(disk())
    (kernel / "meminfo").write_text("MemTotal:         985000 kB\n")
    assert said(disk()) == ""


@pytest.mark.parametrize(
    "name", ["loop0", "ram1", "zram0", "sr0", "fd0", "dm-3", "md127", "mmcblk0boot0", "mmcblk0rpmb"]
)
def test_what_is_no_disk_of_the_pc(name: str) -> None:
    assert _NO_DISK.fullmatch(name) is not None


@pytest.mark.parametrize("name", ["sda", "sdaa", "hda", "nvme0n1", "mmcblk0", "vda", "cciss!c0d0"])
def test_what_is_a_disk_of_the_pc(name: str) -> None:
    assert _NO_DISK.fullmatch(name) is None


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool(*TOOLS, "mkntfs")
class TestOnDisks:
    """With loop devices for disks."""

    @pytest.fixture
    def live(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveSystem:
        return live_system(tmp_path, monkeypatch)

    def test_disks_and_volumes_as_triage_list_says(self, live: LiveSystem, tmp_path: Path) -> None:
        pc = sparse(tmp_path / "pc.img", 32 * MIB)
        run("sh", "-c", f"printf 'start=2048,size=40960,type=7\\n' | sfdisk -q {pc}")
        empty = sparse(tmp_path / "empty.img", MIB)
        with (
            live.disk(make_stick(tmp_path / "s.img", 32 * MIB)) as stick,
            live.disk(pc) as one,
            live.disk(empty) as two,
        ):
            run("mkntfs", "-q", "-Q", "-F", "-L", "Daten", f"{one.node}p1")
            state = prepare_stick()
            found = disks_of_pc(str(stick.node))
            assert [each.node for each in found] == [one.node, two.node]
            assert [(volume.filesystem, volume.label) for volume in found[0].volumes] == [("ntfs", "Daten")]
            assert (found[0].size_bytes, found[0].examinable) == (32 * MIB, True)
            assert not found[1].examinable
            assert "empty disk" in found[1].unreadable
            listed = run(sys.executable, "-m", "triage", "list", one.node).splitlines()[1]
            text = screen_text(state, found, (), 80)
            assert f"    {listed}\n" in text
            assert f"triage run {one.node} --out {live.media}/case-" in text
            assert disk_line(found[0]) == f"{one.node}  33.6 MB"
            run("umount", live.media)

    def test_disk_that_is_not_locked_is_left_out(self, live: LiveSystem, tmp_path: Path) -> None:
        """It is not opened, and keeps no other from being examined."""
        images = [sparse(tmp_path / f"{number}.img", 32 * MIB) for number in range(2)]
        for image in images:
            run("sh", "-c", f"printf 'start=2048,size=40960,type=7\n' | sfdisk -q {image}")
        with live.disk(images[0]) as one, live.disk(images[1]) as two:
            for each in (one, two):
                run("mkntfs", "-q", "-Q", "-F", f"{each.node}p1")
            lock_others(None)
            assert [disk.examinable for disk in disks_of_pc(None)] == [True, True]
            run("blockdev", "--setrw", two.node)
            found = {disk.node: disk for disk in disks_of_pc(None)}
            assert found[one.node].examinable
            left_out = found[two.node]
        assert left_out.unreadable == "it can be written: the kernel's read-only flag is not set"
        assert left_out.volumes == ()


def live_command(*arguments: str, term: str = "dumb") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TERM": term, "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}
    command = (sys.executable, "-m", "triage.live", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@needs_root()
def test_screen_gives_a_login_shell(tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.symlink_to("/bin/sh")
    done = subprocess.run(
        (sys.executable, "-m", "triage.live", "screen", "--shell", shell),
        input="echo $0",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("-shell\n")
    assert "Nothing is written to its disks." in done.stdout


@needs_root()
def test_language_of_the_screen_is_one_that_its_font_has() -> None:
    """The kernel's own console has no Chinese; a serial terminal has what its user's PC has."""
    assert "这台电脑的磁盘" in live_command("--lang", "zh_CN", "screen", "--shell", "/bin/true").stdout
    shown = live_command("--lang", "zh_CN", "screen", "--shell", "/bin/true", term="linux").stdout
    assert "Disks of this PC" in shown

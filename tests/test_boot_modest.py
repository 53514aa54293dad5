"""The live stick on modest PCs: a tablet with 32-bit UEFI and NVMe, an old PC with IDE disks, and PCs it cannot run on.

The first one copies the stick into memory and is examined by the command that the screen shows; the second one uses the
other screen mode, has a RAID controller that shows no disk, and a stick that already holds a file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec import Struct

from tests.boot.machine import Bus, Firmware, Pc, machine
from tests.boot.session import DRAWING_SECONDS, MENU_SECONDS, RESULT_SECONDS, Node, Picture, Session, needs_boot
from tests.boot.stick import STICK_BYTES, data_partition, partition_bytes, sha256, write_stick
from tests.conftest import LabDisk
from tests.loops import sparse
from triage.model.errors import ExitCode
from triage.report.verify import verify_case

pytestmark = needs_boot()

_MIB = 1 << 20
_PC, _SCRATCH = "LAB-PC", "LAB-SCRATCH"
_TABLET = Pc(firmware=Firmware.UEFI_32, bus=Bus.NVME, memory_mib=2048)
_OLD_PC = Pc(bus=Bus.IDE, usb="usb-ehci", devices=("megasas",))
_TO_MEMORY, _OTHER_SCREEN_MODE = 2, 3  # entries of the menu
_NOTE = "kept.txt"
_QUESTIONS = {
    "stick": "cat /run/triage/stick.json",
    "medium": "findmnt --noheadings --output FSTYPE /run/live/medium",
    "firmware": "cat /sys/firmware/efi/fw_platform_size",
    "options": "cat /proc/cmdline",
}
# Past the block layer: the program and what it is told; {generic} and {controller} are other nodes of {disk}.
_NVME = "nvme_pass_through.py"
_SCSI = "pass_through.py"
_RAW_NVME = {
    "I/O command": (_NVME, "{disk} r io"),
    "I/O command, opened for writing": (_NVME, "{disk} rw io"),
    "admin command": (_NVME, "{disk} r admin"),
    "admin command to the controller": (_NVME, "{controller} r admin"),
    "I/O command to the generic node": (_NVME, "{generic} r io"),
    "io_uring": (_NVME, "{generic} r uring"),
    "io_uring, opened for writing": (_NVME, "{generic} rw uring"),
}
_RAW_IDE = {
    "SG_IO, WRITE(10)": (_SCSI, "{disk} r scsi"),
    "SG_IO, WRITE(10), opened for writing": (_SCSI, "{disk} rw scsi"),
    "SG_IO, ATA PASS-THROUGH(16)": (_SCSI, "{disk} r ata"),
}


class Visit(Struct, frozen=True, kw_only=True):
    """A boot that is over.

    `digests` are those of each disk before and after; `text` is what the serial line showed; `attempts` and `unlimited`
    are the raw commands by their exit codes and output, at the PC's disk from the shell and at another disk without
    the shell's limits.
    """

    digests: dict[str, tuple[str, str]]
    stick: Path
    node: Node
    text: str
    attempts: dict[str, tuple[int, str]]
    unlimited: dict[str, tuple[int, str]]
    answers: dict[str, str]
    screen: Picture


def _visit(
    pc: Pc,
    entry: int,
    stick: Path,
    image: Path,
    *,
    raw: Mapping[str, tuple[str, str]],
    do: Callable[[Session], None] = lambda _session: None,
) -> Visit:
    """Start a PC by an entry of the menu, look around in it, have something done, and switch off by its keyboard."""
    folder = stick.parent
    disks = {_PC: shutil.copyfile(image, folder / "pc.img"), _SCRATCH: sparse(folder / "scratch.img", 4 * _MIB)}
    subprocess.run(("sfdisk", "--quiet", disks[_SCRATCH]), input="start=2048\n", text=True, check=True)
    before = {name: sha256(disk) for name, disk in disks.items()}
    with machine(folder, pc, stick, disks) as running:
        session = Session(running, folder, pc.bus)
        session.start(entry)
        node = session.find(_PC)
        attempts = _try(session, session.shell.run, raw, node)
        answers = {name: session.shell.run(command)[1] for name, command in _QUESTIONS.items()}
        do(session)
        unlimited = _try(session, session.run_without_limits, raw, session.find(_SCRATCH))
        session.wait_for_screen()
        screen = session.picture("screen")
        session.type_on_screen("poweroff")
        session.wait_until_off()
    return Visit(
        digests={name: (before[name], sha256(disk)) for name, disk in disks.items()},
        stick=stick,
        node=node,
        text=session.console.text,
        attempts=attempts,
        unlimited=unlimited,
        answers=answers,
        screen=screen,
    )


def _try(
    session: Session, start: Callable[[str], tuple[int, str]], raw: Mapping[str, tuple[str, str]], node: Node
) -> dict[str, tuple[int, str]]:
    """Send raw commands to a disk."""
    others = {"generic": node.disk.replace("nvme", "ng"), "controller": node.disk.removesuffix("n1")}
    programs = {name: session.upload(name) for name in {name for name, _words in raw.values()}}
    return {
        what: start(f"{programs[name]} {words.format(disk=node.disk, **others)}") for what, (name, words) in raw.items()
    }


@pytest.fixture(scope="module")
def tablet(live_image: Path, lab_disk: LabDisk, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    stick = write_stick(live_image, tmp_path_factory.mktemp("tablet") / "stick.img", STICK_BYTES)
    return _visit(_TABLET, _TO_MEMORY, stick, lab_disk().image, raw=_RAW_NVME, do=_type_the_command)


@pytest.fixture(scope="module")
def old_pc(live_image: Path, lab_disk: LabDisk, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    stick = write_stick(live_image, tmp_path_factory.mktemp("old") / "stick.img", STICK_BYTES)
    with data_partition(stick, stick.with_name("data"), writable=True) as data:
        (data / _NOTE).write_text("mine")
    return _visit(_OLD_PC, _OTHER_SCREEN_MODE, stick, lab_disk().image, raw=_RAW_IDE)


@pytest.fixture(params=["tablet", "old_pc"])
def visit(request: pytest.FixtureRequest) -> Visit:
    found: Visit = request.getfixturevalue(request.param)
    return found


def _type_the_command(session: Session) -> None:
    """Type the command as the screen gives it."""
    command = session.console.expect(r"^  (triage run .*)$", 0)[1]
    code, said = session.console.run(command, RESULT_SECONDS)
    assert code == ExitCode.INDICATORS_FOUND, said


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_disk_is_found_and_not_changed(visit: Visit) -> None:
    shown = re.search(rf"^  {visit.node.disk}  .*$", visit.text, re.MULTILINE)
    assert shown is not None
    assert ("NVMe" if "nvme" in visit.node.disk else "ATA") in shown[0].split()
    before, after = visit.digests[_PC]
    assert before == after


def test_the_screen_shows_something_and_its_keyboard_switched_the_pc_off(visit: Visit) -> None:
    assert visit.screen.colours > 1


def test_raw_commands_fail_within_the_limits_and_only_there(visit: Visit) -> None:
    """The same commands do reach a disk that is set read-only where nothing limits them."""
    assert [what for what, (code, _said) in visit.attempts.items() if code == 0] == []
    assert {what: said for what, (code, said) in visit.unlimited.items() if code != 0} == {}
    before, after = visit.digests[_SCRATCH]
    assert before != after


def test_tablet_starts_by_32_bit_uefi_with_the_stick_in_memory(tablet: Visit) -> None:
    assert tablet.answers["firmware"].split() == ["32"]
    assert tablet.answers["medium"].split() == ["tmpfs"]
    assert "toram" in tablet.answers["options"].split()


def test_the_command_on_the_screen_leaves_a_case(tablet: Visit, tmp_path: Path) -> None:
    with data_partition(tablet.stick, tmp_path / "data") as folder:
        (case,) = folder.glob("case-*")
        assert verify_case(case).problems == ()


def test_other_screen_mode(old_pc: Visit) -> None:
    assert "nomodeset" in old_pc.answers["options"].split()
    assert (old_pc.screen.width, old_pc.screen.height) == (800, 600)


def test_controller_that_hides_its_disks_is_named(old_pc: Visit, tablet: Visit) -> None:
    message = r"! the disk controller 0000:00:\d\d\.0 is in RAID mode and may hide its disks; set SATA mode"
    assert re.search(message, _on_one_line(old_pc.text)) is not None
    assert "RAID mode" not in tablet.text


def test_stick_that_holds_a_file_is_left_as_it_is(old_pc: Visit, live_image: Path, tmp_path: Path) -> None:
    assert partition_bytes(old_pc.stick, 1) == partition_bytes(live_image, 1)
    with data_partition(old_pc.stick, tmp_path / "data") as folder:
        assert [path.name for path in folder.iterdir()] == [_NOTE]
        assert (folder / _NOTE).read_text() == "mine"


@pytest.mark.parametrize("firmware", [Firmware.BIOS, Firmware.UEFI_32])
def test_32_bit_processor_is_told_before_the_kernel_starts(
    firmware: Firmware, live_image: Path, tmp_path: Path
) -> None:
    stick = write_stick(live_image, tmp_path / "stick.img", STICK_BYTES)
    with machine(tmp_path, Pc(firmware=firmware, cpu="qemu32"), stick, {}) as running:
        session = Session(running, tmp_path, f"32-bit-{firmware}")
        session.console.expect("This PC has a 32-bit processor", MENU_SECONDS)
        session.console.expect("Switching off", MENU_SECONDS)
        time.sleep(DRAWING_SECONDS)
        assert session.picture("processor").colours > 1
        running.qmp.press("esc")
        session.wait_until_off()
        assert "Starting from the stick" not in session.console.text

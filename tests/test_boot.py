"""The live stick in an emulated PC, by BIOS and by UEFI with Secure Boot, judged from inside and from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.boot.machine import Firmware, Pc, machine
from tests.boot.session import RESULT_SECONDS, SHELL_SECONDS, Node, Picture, Session, needs_boot
from tests.boot.stick import STICK_BYTES, assemble_again, data_partition, partition_bytes, sha256, write_stick
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk
from tests.lab.plan import Kind
from tests.loops import sparse
from triage.pipeline.case_folder import RESCUE_FOLDER
from triage.report.document import load_report
from triage.report.verify import verify_case

pytestmark = needs_boot()

_MIB = 1 << 20
_LARGEST_IMAGE_BYTES = 600_000_000
_UNATTENDED = 1  # the entry of the menu
_PLAIN_VGA = (720, 400)  # 80 columns, 25 lines

_PC, _SECOND, _PLUGGED = "LAB-PC", "LAB-SECOND", "LAB-PLUGGED"
_SAVED = (Kind.USER_INTACT, Kind.MOVED_ORIGINAL, Kind.PREPARED)
_LIMITS = "systemctl show --no-pager --property CapabilityBoundingSet,DevicePolicy,DeviceAllow {unit}"
_QUESTIONS = {
    "stick": "cat /run/triage/stick.json",
    "secure boot": "dmesg | grep -i 'secure boot'",
    "network": "ls /sys/class/net",
    "swap": "cat /proc/swaps",
    "limits of the screen": _LIMITS.format(unit="triage-screen@ttyS0"),
    "limits of the run": _LIMITS.format(unit="triage-auto"),
    "limits of the stick's service": _LIMITS.format(unit="triage-stick"),
    "crash records": "systemctl is-enabled systemd-pstore; grep -E 'efivarfs|efi_pstore' /proc/{filesystems,modules}",
}
# What must fail, with the shell that the stick gives; {disk} is the PC's disk, {part} its first partition.
_ATTEMPTS = {
    "dd onto the disk": "dd if=/dev/zero of={disk} bs=512 count=1 seek=1 conv=notrunc",
    "dd onto the partition": "dd if=/dev/zero of={part} bs=512 count=1 conv=notrunc",
    "append": "echo X >>{disk}",
    "setrw": "blockdev --setrw {disk}",
    "setrw of the partition": "blockdev --setrw {part}",
    "dd after setrw": "dd if=/dev/zero of={disk} bs=512 count=1 seek=1 conv=notrunc",
    "mount -o rw": "mount -o rw {part} /mnt",
    "mount by ntfs3": "mount -t ntfs3 -o rw,force {part} /mnt",
    "loop device": "losetup --find --show {disk}",
    "a node of one's own": "mknod /tmp/disk b 8 0",
    "SG_IO, WRITE(10)": "{pass_through} {disk} r scsi",
    "SG_IO, WRITE(10), opened for writing": "{pass_through} {disk} rw scsi",
    "SG_IO, ATA PASS-THROUGH(16)": "{pass_through} {disk} r ata",
    "bsg": "(: <>$(ls -d /dev/bsg/* | head -n 1))",
    "LVM": "vgchange --activate y",
    "mdadm": "mdadm --assemble --scan",
    "device mapper": "modprobe dm_mod",
    "md": "modprobe raid1",
    "swap": "swapon {part}",
    "discard": "blkdiscard --force {disk}",
    "partition table": "sfdisk --delete {disk}",
    "another control group": "sh -c 'echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs'",
    "a program of udev's": "echo true >>/usr/lib/triage/lock-device",
    "a rule of udev's": "mkdir -p /run/udev/rules.d && echo >/run/udev/rules.d/99-own.rules",
    "a rule of udev's that stays": "mkdir -p /etc/udev/rules.d && echo >/etc/udev/rules.d/99-own.rules",
    "a program of the kernel's": "echo '|/bin/false' >/proc/sys/kernel/core_pattern",
}


class Boot(Struct, frozen=True, kw_only=True):
    """A boot that is over: what was seen inside it, and what it left behind.

    `attempts` are the attempts to write by their exit codes and output; `read_only` the read-only flag of each block
    device by its kernel name, before and after a disk was plugged in; `answers` what a few commands said;
    `console` what came out of the serial line until the result.
    """

    firmware: Firmware
    pc: BuiltDisk
    digests: dict[Path, str]
    stick: Path
    attempts: dict[str, tuple[int, str]]
    read_only: dict[str, str]
    nodes: dict[str, Node]
    screen: Picture
    answers: dict[str, str]
    console: str


@pytest.fixture(scope="module", params=(Firmware.BIOS, Firmware.SECURE_BOOT))
def boot(
    request: pytest.FixtureRequest, live_image: Path, lab_disk: LabDisk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Boot]:
    firmware: Firmware = request.param
    folder = tmp_path_factory.mktemp(firmware)
    pc = lab_disk()
    disks = {name: folder / f"{name}.img" for name in (_PC, _SECOND, _PLUGGED)}
    shutil.copyfile(pc.image, disks[_PC])
    for name in (_SECOND, _PLUGGED):
        _look_alike(disks[name], live_image)
    digests = {disk: sha256(disk) for disk in disks.values()}
    stick = write_stick(live_image, folder / "stick.img", STICK_BYTES)
    attached = {name: disks[name] for name in (_PC, _SECOND)}
    with machine(folder, Pc(firmware=firmware), stick, attached) as running:
        session = Session(running, folder, firmware)
        session.start(_UNATTENDED)
        nodes = {name: session.find(name) for name in (_PC, _SECOND)}
        attempts = _attempt(session, nodes[_PC])
        running.qmp.plug_usb_disk(disks[_PLUGGED], _PLUGGED)
        nodes[_PLUGGED] = session.find(_PLUGGED)
        read_only = session.read_only()
        answers = {name: session.shell.run(command)[1] for name, command in _QUESTIONS.items()}
        session.console.expect("Powering off in", RESULT_SECONDS)
        console = session.console.text
        screen = session.picture("result")
        if firmware is Firmware.BIOS:
            _stay_a_while(session)
        session.wait_until_off()
    yield Boot(
        firmware=firmware,
        pc=pc,
        digests=digests,
        stick=stick,
        attempts=attempts,
        read_only=read_only,
        screen=screen,
        nodes=nodes,
        answers=answers,
        console=console,
    )
    stick.unlink()


def _attempt(session: Session, node: Node) -> dict[str, tuple[int, str]]:
    """Try to write to the PC's disk in every way we know of."""
    places = {"disk": node.disk, "part": node.part, "pass_through": session.upload("pass_through.py")}
    return {name: session.shell.run(one.format_map(places)) for name, one in _ATTEMPTS.items()}


def _stay_a_while(session: Session) -> None:
    """Press a key, leave the shell that is given, and end by the one below the text screen."""
    session.type_on_screen("")
    session.console.expect("To leave the shell", SHELL_SECONDS)
    session.type_on_screen("exit")
    session.wait_for_screen()
    session.picture("stayed")
    session.type_on_screen("poweroff")


def _look_alike(path: Path, image: Path) -> None:
    """Make a disk with the stick's data partition, to its label and serial number, and a disk signature of its own."""
    start, length = partition_bytes(image, 1)
    sparse(path, length + 2 * _MIB)
    layout = f"label: dos\nlabel-id: 0x12345678\n1: start=2048, size={length // 512}, type=7\n"
    subprocess.run(("sfdisk", "--quiet", path), input=layout, text=True, check=True)
    with image.open("rb") as source, path.open("r+b") as target:
        source.seek(start)
        target.seek(_MIB)
        shutil.copyfileobj(source, target, _MIB)
        target.truncate(length + 2 * _MIB)


def test_the_image_is_small_and_assembled_the_same_again(live_image: Path) -> None:
    assert live_image.stat().st_size < _LARGEST_IMAGE_BYTES
    assert live_image.with_name(f"{live_image.name}.sha256").read_text().split()[0] == sha256(live_image)
    assert sha256(assemble_again(live_image.parent)) == sha256(live_image)
    packages = live_image.with_suffix(".packages").read_text()
    assert "wannacry_triage-" in packages
    assert "systemd-sysv\t" in packages


@pytest.mark.parametrize("name", _ATTEMPTS)
def test_evidence_cannot_be_written(boot: Boot, name: str) -> None:
    code, output = boot.attempts[name]
    assert code != 0, output


def test_every_disk_but_the_stick_is_read_only(boot: Boot) -> None:
    writable = {node for node, flag in boot.read_only.items() if flag == "0"}
    disk = json.loads(boot.answers["stick"])["disk"]
    assert writable == {disk, f"{disk}1", f"{disk}2"}
    assert {node.part for node in boot.nodes.values()} <= boot.read_only.keys()


def test_no_disk_was_changed(boot: Boot) -> None:
    assert {disk: sha256(disk) for disk in boot.digests} == boot.digests


def test_secure_boot_is_on_where_it_should_be(boot: Boot) -> None:
    assert ("Secure boot enabled" in boot.answers["secure boot"]) == (boot.firmware is Firmware.SECURE_BOOT)


def test_the_run_has_the_limits_that_the_attempts_met(boot: Boot) -> None:
    assert "cap_sys_admin" not in boot.answers["limits of the run"]
    assert boot.answers["limits of the run"] == boot.answers["limits of the screen"]


def test_the_stick_is_prepared_without_raw_commands(boot: Boot) -> None:
    assert "cap_sys_admin" in boot.answers["limits of the stick's service"]
    assert "cap_sys_rawio" not in boot.answers["limits of the stick's service"]


def test_crash_records_stay_in_the_firmware(boot: Boot) -> None:
    assert boot.answers["crash records"].split() == ["masked"]


def test_bios_gives_the_text_mode_of_plain_vga(boot: Boot) -> None:
    assert boot.screen.colours > 1
    assert ((boot.screen.width, boot.screen.height) == _PLAIN_VGA) == (boot.firmware is Firmware.BIOS)


def test_no_network_no_swap_no_assembled_disk(boot: Boot) -> None:
    assert boot.answers["network"].split() == ["lo"]
    assert boot.answers["swap"].splitlines()[1:] == []
    assert not any(name.startswith(("dm-", "md")) for name in map(os.path.basename, boot.read_only))


def test_the_stick_holds_a_signed_case_with_the_files_as_they_were(boot: Boot, tmp_path: Path) -> None:
    with data_partition(boot.stick, tmp_path / "data") as folder:
        (case,) = folder.glob("case-*")
        verify = subprocess.run((sys.executable, "-m", "triage", "verify", case), capture_output=True, text=True)
        assert verify.returncode == 0, verify.stdout + verify.stderr
        (isolation,) = load_report(case / "report.json").case.isolation
        assert isolation.allowed == ()
        payload = case / RESCUE_FOLDER / "data"
        rescued = {str(path.relative_to(payload)).partition("/")[2]: sha256(path) for path in _files(payload)}
    assert rescued == {one.path: one.sha256 for one in boot.pc.of_kind(*_SAVED) if one.stream == ""}


def test_the_result_comes_out_of_the_serial_line(boot: Boot, tmp_path: Path) -> None:
    with data_partition(boot.stick, tmp_path / "data") as folder:
        (case,) = folder.glob("case-*")
        fingerprint = verify_case(case).fingerprint
    assert set(re.findall(r"Key fingerprint: (SHA256:\S+)", boot.console)) == {fingerprint}
    assert f"Case: {case.name}\n" in boot.console
    assert "I N D I C A T O R S   F O U N D" in boot.console


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())

"""The live stick in an emulated PC, by BIOS and by UEFI with Secure Boot, judged from inside and from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.boot.machine import OVMF_CODE, QEMU, Firmware, Machine, machine
from tests.boot.stick import (
    STICK_BYTES,
    TOOLS,
    assemble_again,
    build_image,
    data_partition,
    partition_bytes,
    sha256,
    write_stick,
)
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk
from tests.lab.plan import Kind
from tests.loops import sparse
from tests.needs import needs_root, needs_tool
from triage.pipeline.case_folder import RESCUE_FOLDER
from triage.report.document import load_report

SWITCH = "TRIAGE_TEST_BOOT"
PICTURES = "TRIAGE_TEST_PICTURES"
pytestmark = [
    pytest.mark.skipif(os.environ.get(SWITCH) != "1", reason=f"needs {SWITCH}=1"),
    pytest.mark.skipif(not OVMF_CODE.exists(), reason=f"needs {OVMF_CODE}"),
    needs_root(),
    needs_tool(QEMU, *TOOLS),
]

_MIB = 1 << 20
_LARGEST_IMAGE_BYTES = 600_000_000
# Software emulation on a busy machine: an order of magnitude above what was measured.
_DRAWING_SECONDS = 2
_MENU_SECONDS, _SHELL_SECONDS, _RESULT_SECONDS, _OFF_SECONDS = 180, 600, 600, 300

_PASS_THROUGH = Path(__file__).with_name("boot") / "inside/pass_through.py"
_PC, _SECOND, _PLUGGED = "LAB-PC", "LAB-SECOND", "LAB-PLUGGED"
_SAVED = (Kind.USER_INTACT, Kind.MOVED_ORIGINAL, Kind.PREPARED)
_QUESTIONS = {
    "stick": "cat /run/triage/stick.json",
    "secure boot": "dmesg | grep -i 'secure boot'",
    "network": "ls /sys/class/net",
    "swap": "cat /proc/swaps",
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
    "SG_IO, WRITE(10)": "python3 /tmp/pass_through.py {disk} r scsi",
    "SG_IO, WRITE(10), opened for writing": "python3 /tmp/pass_through.py {disk} rw scsi",
    "SG_IO, ATA PASS-THROUGH(16)": "python3 /tmp/pass_through.py {disk} r ata",
    "bsg": "(: <>$(ls -d /dev/bsg/* | head -n 1))",
    "LVM": "vgchange --activate y",
    "mdadm": "mdadm --assemble --scan",
    "device mapper": "modprobe dm_mod",
    "md": "modprobe raid1",
    "swap": "swapon {part}",
    "discard": "blkdiscard --force {disk}",
    "partition table": "sfdisk --delete {disk}",
}


class Boot(Struct, frozen=True, kw_only=True):
    """A boot that is over: what was seen inside it, and what it left behind.

    `attempts` are the attempts to write by their exit codes and output; `read_only` the read-only flag of each block
    device by its kernel name, before and after a disk was plugged in; `answers` what a few commands said.
    """

    firmware: Firmware
    pc: BuiltDisk
    digests: dict[Path, str]
    stick: Path
    log: str
    attempts: dict[str, tuple[int, str]]
    read_only: dict[str, str]
    nodes: dict[str, str]
    answers: dict[str, str]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module", params=Firmware)
def boot(
    request: pytest.FixtureRequest, image: Path, lab_disk: LabDisk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Boot]:
    firmware: Firmware = request.param
    folder = tmp_path_factory.mktemp(firmware)
    pc = lab_disk()
    disks = {name: folder / f"{name}.img" for name in (_PC, _SECOND, _PLUGGED)}
    shutil.copyfile(pc.image, disks[_PC])
    for name in (_SECOND, _PLUGGED):
        _look_alike(disks[name], image)
    digests = {disk: sha256(disk) for disk in disks.values()}
    stick = write_stick(image, folder / "stick.img", STICK_BYTES)
    attached = {name: disks[name] for name in (_PC, _SECOND)}
    with machine(folder, firmware, stick, attached) as running:
        inside = _Inside(running, _pictures(folder), firmware)
        inside.start()
        attempts = inside.attempts()
        inside.plug_in(disks[_PLUGGED])
        read_only, answers = inside.flags(), inside.answers()
        inside.see_it_through()
    yield Boot(
        firmware=firmware,
        pc=pc,
        digests=digests,
        stick=stick,
        log=(folder / "serial.log").read_text(errors="replace"),
        attempts=attempts,
        read_only=read_only,
        nodes=inside.nodes,
        answers=answers,
    )
    stick.unlink()


class _Inside:
    """What is done in the running system, through its screen, its keyboard and the shell on a serial line."""

    def __init__(self, running: Machine, pictures: Path, firmware: Firmware) -> None:
        self._running = running
        self._console = running.serial
        self._serial = running.second
        self._pictures = pictures
        self._firmware = firmware
        self.nodes: dict[str, str] = {}

    def start(self) -> None:
        """Choose the unattended entry and wait for the shell on the serial line."""
        self._console.expect("executed automatically", _MENU_SECONDS)
        time.sleep(_DRAWING_SECONDS)
        self._picture("menu")
        self._running.qmp.press("down", "ret")
        self._console.expect("To end: poweroff", _SHELL_SECONDS)
        # The run speaks on the console as well: a shell with all limits of this one goes to the second port.
        self._console.send("stty -F /dev/ttyS1 -echo; setsid bash </dev/ttyS1 >/dev/ttyS1 2>&1 &\n")
        time.sleep(_DRAWING_SECONDS)
        for name in (_PC, _SECOND):
            self._find(name)

    def attempts(self) -> dict[str, tuple[int, str]]:
        """Try to write to the PC's disk in every way we know of."""
        self._serial.upload(_PASS_THROUGH, "/tmp/pass_through.py")
        disk = self.nodes[_PC]
        return {name: self._serial.run(one.format(disk=disk, part=f"{disk}1")) for name, one in _ATTEMPTS.items()}

    def plug_in(self, disk: Path) -> None:
        """Plug in a disk and wait until its partition is there."""
        self._running.qmp.plug_usb_disk(disk, _PLUGGED)
        self._find(_PLUGGED)

    def flags(self) -> dict[str, str]:
        """Return the read-only flag of each block device by its node."""
        lines = self._serial.run("cd /sys/class/block; grep . */ro; cd")[1].splitlines()
        return {f"/dev/{line.partition('/')[0]}": line.rpartition(":")[2] for line in lines}

    def answers(self) -> dict[str, str]:
        """Return what the system says about itself."""
        return {name: self._serial.run(command)[1] for name, command in _QUESTIONS.items()}

    def see_it_through(self) -> None:
        """Wait for the result and for the power to go off."""
        self._console.expect("Powering off in", _RESULT_SECONDS)
        self._picture("result")
        self._running.wait_until_off(_OFF_SECONDS)

    def _picture(self, name: str) -> None:
        self._running.qmp.screenshot(self._pictures / f"{self._firmware}-{name}.png")

    def _find(self, serial: str) -> None:
        found = f"ls /dev/disk/by-id/*{serial}*-part1"
        wait = f"for i in $(seq 60); do {found} && break; sleep 1; done >/dev/null 2>&1"
        self.nodes[serial] = self._serial.run(f"{wait}; readlink -f $({found})")[1].strip()[:-1]


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


def _pictures(folder: Path) -> Path:
    """Return where screenshots go: the folder that TRIAGE_TEST_PICTURES names, to be looked at."""
    pictures = Path(os.environ.get(PICTURES, folder))
    pictures.mkdir(parents=True, exist_ok=True)
    return pictures


def test_the_image_is_small_and_assembled_the_same_again(image: Path) -> None:
    assert image.stat().st_size < _LARGEST_IMAGE_BYTES
    assert image.with_name(f"{image.name}.sha256").read_text().split()[0] == sha256(image)
    assert sha256(assemble_again(image.parent)) == sha256(image)
    packages = image.with_suffix(".packages").read_text()
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
    assert {f"{node}1" for node in boot.nodes.values()} <= boot.read_only.keys()


def test_no_disk_was_changed(boot: Boot) -> None:
    assert {disk: sha256(disk) for disk in boot.digests} == boot.digests


def test_secure_boot_is_on_where_it_should_be(boot: Boot) -> None:
    assert ("Secure boot enabled" in boot.answers["secure boot"]) == (boot.firmware is Firmware.SECURE_BOOT)


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
        fingerprint = (case / "allowed_signers").read_text()
    assert rescued == {one.path: one.sha256 for one in boot.pc.of_kind(*_SAVED) if one.stream == ""}
    assert fingerprint


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())

"""An emulated PC with the stick in a USB port: any firmware, any disk controller, software emulation only."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from tests.boot.qmp import Qmp
from tests.boot.serial import Serial

QEMU = "qemu-system-x86_64"
_OVMF = Path("/usr/share/OVMF")
_START_SECONDS = 30


class Firmware(StrEnum):
    """How the PC starts."""

    BIOS = "bios"
    SECURE_BOOT = "secure-boot"
    UEFI_32 = "uefi-32"


class Bus(StrEnum):
    """Where the PC's disks are."""

    SATA = "sata"
    IDE = "ide"
    NVME = "nvme"


_FLASH = {
    Firmware.SECURE_BOOT: (_OVMF / "OVMF_CODE_4M.ms.fd", _OVMF / "OVMF_VARS_4M.ms.fd"),
    Firmware.UEFI_32: (_OVMF / "OVMF32_CODE_4M.secboot.fd", _OVMF / "OVMF32_VARS_4M.fd"),
}
FIRMWARE_FILES = tuple(file for files in _FLASH.values() for file in files)


class Pc(Struct, frozen=True, kw_only=True):
    """What PC it is: `cpu` by QEMU's name, `devices` what else is plugged in, each as QEMU's option says it."""

    firmware: Firmware = Firmware.BIOS
    bus: Bus = Bus.SATA
    memory_mib: int = 1024
    cpu: str = "qemu64"
    usb: str = "qemu-xhci"
    devices: tuple[str, ...] = ()


class Machine:
    """A running PC; `serial` is its console, `second` a port that nobody uses."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        # QEMU waits for the serial line, that nothing of it is missed, and talks to nobody else before.
        self.serial = Serial(_wait_for(folder / "serial", process), folder / "serial.log")
        self.second = Serial(_wait_for(folder / "second", process), folder / "second.log")
        self.qmp = Qmp(_wait_for(folder / "qmp", process))

    def wait_until_off(self, seconds: float) -> None:
        """Wait until the PC has switched itself off."""
        self._process.wait(timeout=seconds)

    def end(self) -> None:
        """Pull the plug, if it is still in."""
        self.qmp.close()
        self.serial.close()
        self.second.close()
        self._process.kill()
        self._process.wait()


@contextmanager
def machine(folder: Path, pc: Pc, stick: Path, disks: Mapping[str, Path]) -> Iterator[Machine]:
    """Start a PC with the stick on USB, and in it `disks` by serial number; all of them can be written."""
    command: list[str | Path] = [QEMU, "-accel", "tcg,thread=multi", "-smp", "2", "-cpu", pc.cpu]
    command += ["-m", str(pc.memory_mib), "-display", "none", "-vga", "std", "-nic", "user,model=e1000"]
    command += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    command += ["-serial", f"unix:{folder}/serial,server=on,wait=on"]
    command += ["-serial", f"unix:{folder}/second,server=on,wait=off"]
    # The one has a SATA controller with SMM for the flash of UEFI, the other an IDE controller.
    command += ["-machine", "pc" if pc.bus is Bus.IDE else "q35,smm=on"]
    if pc.firmware in _FLASH:
        code, variables = _FLASH[pc.firmware]
        command += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
        command += ["-drive", f"if=pflash,unit=1,format=raw,file={shutil.copy(variables, folder / 'variables.fd')}"]
    command += ["-device", f"{pc.usb},id=usb", "-drive", f"if=none,id=stick,format=raw,cache=unsafe,file={stick}"]
    command += ["-device", "usb-storage,bus=usb.0,drive=stick,bootindex=0,removable=on"]
    for number, (serial, disk) in enumerate(disks.items()):
        kind = "nvme" if pc.bus is Bus.NVME else f"ide-hd,bus=ide.{number}"
        command += ["-drive", f"if=none,id=disk{number},format=raw,file={disk}"]
        command += ["-device", f"{kind},drive=disk{number},serial={serial}"]
    for device in pc.devices:
        command += ["-device", device]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    running = None
    try:
        running = Machine(process, folder)
        yield running
    finally:
        if running is not None:
            running.end()
        process.kill()
        process.wait()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> Path:
    end = time.monotonic() + _START_SECONDS
    while not path.is_socket():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"QEMU did not start: {path.with_name('qemu.log').read_text()}")
        time.sleep(0.1)
    return path

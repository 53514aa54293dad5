"""An emulated PC with the stick in a USB port: BIOS or UEFI with Secure Boot, software emulation only."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from tests.boot.qmp import Qmp
from tests.boot.serial import Serial

QEMU = "qemu-system-x86_64"
_OVMF = Path("/usr/share/OVMF")
OVMF_CODE = _OVMF / "OVMF_CODE_4M.ms.fd"
_OVMF_VARS = _OVMF / "OVMF_VARS_4M.ms.fd"
_START_SECONDS = 30


class Firmware(StrEnum):
    """How the PC starts."""

    BIOS = "bios"
    SECURE_BOOT = "secure-boot"


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
def machine(folder: Path, firmware: Firmware, stick: Path, disks: Mapping[str, Path]) -> Iterator[Machine]:
    """Start a PC of 1 GB with the stick on USB and `disks`, by serial number, on SATA; all of them can be written."""
    command: list[str | Path] = [QEMU, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024"]
    command += ["-display", "none", "-vga", "std", "-nic", "user,model=e1000"]
    command += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    command += ["-serial", f"unix:{folder}/serial,server=on,wait=on"]
    command += ["-serial", f"unix:{folder}/second,server=on,wait=off"]
    command += ["-machine", "q35" if firmware is Firmware.BIOS else "q35,smm=on"]
    if firmware is Firmware.SECURE_BOOT:
        variables = shutil.copy(_OVMF_VARS, folder / "variables.fd")
        command += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}"]
        command += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    command += ["-device", "qemu-xhci,id=xhci", "-drive", f"if=none,id=stick,format=raw,cache=unsafe,file={stick}"]
    command += ["-device", "usb-storage,bus=xhci.0,drive=stick,bootindex=0,removable=on"]
    for number, (serial, disk) in enumerate(disks.items()):
        command += ["-drive", f"if=none,id=disk{number},format=raw,file={disk}"]
        command += ["-device", f"ide-hd,bus=ide.{number},drive=disk{number},serial={serial}"]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    pc = None
    try:
        pc = Machine(process, folder)
        yield pc
    finally:
        if pc is not None:
            pc.end()
        process.kill()
        process.wait()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> Path:
    end = time.monotonic() + _START_SECONDS
    while not path.is_socket():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"QEMU did not start: {path.with_name('qemu.log').read_text()}")
        time.sleep(0.1)
    return path

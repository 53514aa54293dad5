"""Registry hives of a lab PC, written by hivex: small, real `regf` files with the services a test asks for.

The empty hive that hivex fills is laid out here after M. Suhanov, "Windows registry file format
specification" (Base block, Hive bin, Cell, Key node, Key security); `hivexregedit` writes all that is in it.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

HIVE_TOOL = "hivexregedit"
BLOCK_BYTES = 4096
NO_CELL = 0xFFFFFFFF
ROOT_CELL = 32
SECURITY_CELL = 136
_ROOT_FLAGS = 0x2C  # KEY_HIVE_ENTRY, KEY_NO_DELETE, KEY_COMP_NAME
_LAB_FILETIME = 131390502650000000  # 2017-05-12 08:11:05 UTC, the day it began
# Self-relative, without owner and access lists: [MS-DTYP] 2.4.6.
_SECURITY_DESCRIPTOR = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)


LabSettings = Mapping[str, Mapping[str, str]]
"""Text values of a hive, by key."""


class LabService(Struct, frozen=True, kw_only=True):
    """One service key; `control_sets` empty means all of them, `written` is the key's last write (FILETIME)."""

    name: str
    image_path: str
    display_name: str = ""
    start: int = 2
    type: int = 0x10
    error_control: int = 1
    object_name: str = "LocalSystem"
    service_dll: str = ""
    control_sets: tuple[int, ...] = ()
    written: int = _LAB_FILETIME


WORM_SERVICE = LabService(
    name="mssecsvc2.0",
    image_path=r"C:\WINDOWS\mssecsvc.exe -m security",
    display_name="Microsoft Security Center (2.0) Service",
    written=131390477960000000,  # 2017-05-12 07:29:56 UTC, when the worm had been dropped
)
PLAIN_SERVICES = (
    LabService(
        name="Dhcp",
        image_path=r"%SystemRoot%\system32\svchost.exe -k LocalServiceNetworkRestricted",
        display_name="DHCP Client",
        type=0x20,
        service_dll=r"%SystemRoot%\system32\dhcpcore.dll",
    ),
    LabService(name="LanmanServer", image_path=r"%SystemRoot%\system32\svchost.exe -k netsvcs", type=0x20),
    LabService(name="srv", image_path=r"System32\DRIVERS\srv.sys", start=3, type=2, object_name=""),
)


def work_directory_service(name: str) -> LabService:
    """Return the randomly named service by which the dropper has itself started, as a `cmd.exe` line."""
    command = rf'cmd.exe /c "C:\ProgramData\{name}\tasksche.exe"'
    moment = 131390478360000000  # 2017-05-12 07:30:36 UTC, when the installer had been unpacked
    return LabService(name=name, display_name=name, image_path=command, written=moment)


def system_hive(
    path: Path,
    *,
    computer_name: str,
    services: Sequence[LabService],
    control_sets: int = 2,
    current: int = 1,
    time_zone: str = "China Standard Time",
    pending_renames: Sequence[str] = (),
    control_numbers: Mapping[str, Mapping[str, int]] | None = None,
    shimcache: bytes = b"",
    shimcache_key: str = "AppCompatCache",
) -> None:
    """Write a SYSTEM hive: Select, and in each control set services, computer name and time zone."""
    select = {"Current": current, "Default": current, "Failed": 0, "LastKnownGood": control_sets}
    keys = {"Select": [dword_value(name, value) for name, value in select.items()]}
    for number in range(1, control_sets + 1):
        control_set = f"ControlSet{number:03d}"
        name_key = rf"{control_set}\Control\ComputerName"
        for key in ("ComputerName", "ActiveComputerName"):
            keys[rf"{name_key}\{key}"] = [text_value("ComputerName", computer_name)]
        keys[rf"{control_set}\Control\TimeZoneInformation"] = [
            dword_value("Bias", -480 & 0xFFFFFFFF),
            text_value("StandardName", "@tzres.dll,-572"),
            text_value("TimeZoneKeyName", time_zone),
        ]
        if pending_renames:
            strings = "".join(f"{string}\0" for string in (*pending_renames, ""))
            keys[rf"{control_set}\Control\Session Manager"] = [
                binary_value("PendingFileRenameOperations", strings.encode("utf-16-le"), kind=7)
            ]
        if shimcache:
            keys[rf"{control_set}\Control\Session Manager\{shimcache_key}"] = [
                binary_value("AppCompatCache", shimcache, kind=3)
            ]
        for key, numbers in (control_numbers or {}).items():
            keys[rf"{control_set}\Control\{key}"] = [dword_value(name, value) for name, value in numbers.items()]
        keys[rf"{control_set}\Services"] = []
        for service in services:
            if number in (service.control_sets or (number,)):
                keys |= _service_keys(rf"{control_set}\Services\{service.name}", service)
    write_hive(path, keys)
    dated = {one.name: one.written for one in services if one.written != _LAB_FILETIME}
    path.write_bytes(_dated(path.read_bytes(), dated))


def software_hive(
    path: Path,
    *,
    product_name: str = "Windows 7 Ultimate",
    build: str = "7601",
    settings: LabSettings | None = None,
) -> None:
    """Write a SOFTWARE hive with the version of Windows, and `settings`: text values by key."""
    version = {
        "ProductName": product_name,
        "CurrentVersion": "6.1",
        "CurrentBuild": build,
        "CurrentBuildNumber": build,
        "CSDVersion": "Service Pack 1",
    }
    values = [text_value(name, text) for name, text in version.items()]
    write_hive(path, {r"Microsoft\Windows NT\CurrentVersion": values, **_text_keys(settings or {})})


def user_hive(path: Path, settings: LabSettings | None = None) -> None:
    """Write an NTUSER.DAT with `settings`: text values by key."""
    defaults: dict[str, Mapping[str, str]] = {r"Control Panel\Desktop": {"Wallpaper": r"C:\Windows\img0.jpg"}}
    write_hive(path, {"Software": [], **_text_keys(defaults | dict(settings or {}))})


def _text_keys(settings: LabSettings) -> dict[str, list[str]]:
    return {key: [text_value(name, text) for name, text in values.items()] for key, values in settings.items()}


def write_hive(path: Path, keys: Mapping[str, Sequence[str]]) -> None:
    """Write a hive: key paths with the value lines of a `.reg` file, each key after its parents."""
    lines = ["Windows Registry Editor Version 5.00", ""]
    made: set[str] = set()
    for key, values in keys.items():
        parts = key.split("\\")
        for depth in range(1, len(parts)):
            parent = "\\".join(parts[:depth])
            if parent not in made:
                lines += [rf"[\{parent}]", ""]
                made.add(parent)
        lines += [rf"[\{key}]", *values, ""]
        made.add(key)
    path.write_bytes(empty_hive())
    subprocess.run([HIVE_TOOL, "--merge", str(path)], input="\n".join(lines).encode(), check=True)


def _dated(hive: bytes, written: Mapping[str, int]) -> bytes:
    """Return the hive with these times of last write in the keys of these names; the tool has no option for them."""
    data = bytearray(hive)
    for name, filetime in written.items():
        length = re.escape(struct.pack("<H", len(name)))
        for key in re.finditer(rb"nk.{70}" + length + rb".{2}" + re.escape(name.encode("latin-1")), hive, re.DOTALL):
            struct.pack_into("<Q", data, key.start() + 4, filetime)
    return bytes(data)


def empty_hive() -> bytes:
    """Return a clean hive of one hive bin that holds the root key and one security descriptor: 8 KiB."""
    name = b"lab"
    root = struct.pack("<2sHQ", b"nk", _ROOT_FLAGS, _LAB_FILETIME)
    root += struct.pack("<IIIIIIIIII", 0, NO_CELL, 0, 0, NO_CELL, NO_CELL, 0, NO_CELL, SECURITY_CELL, NO_CELL)
    root += struct.pack("<IIIIIHH", 0, 0, 0, 0, 0, len(name), 0) + name
    security = struct.pack("<2sHIII", b"sk", 0, SECURITY_CELL, SECURITY_CELL, 1)
    security += struct.pack("<I", len(_SECURITY_DESCRIPTOR)) + _SECURITY_DESCRIPTOR
    header = struct.pack("<4sII8xQI", b"hbin", 0, BLOCK_BYTES, _LAB_FILETIME, 0)
    used = header + _cell(root, SECURITY_CELL - ROOT_CELL) + _cell(security, 48)
    free = struct.pack("<i", BLOCK_BYTES - len(used))
    return _base_block() + (used + free).ljust(BLOCK_BYTES, b"\0")


def _base_block() -> bytes:
    fields = struct.pack("<4sIIQ", b"regf", 1, 1, _LAB_FILETIME)
    fields += struct.pack("<IIIIIII", 1, 5, 0, 1, ROOT_CELL, BLOCK_BYTES, 1)
    return seal_base_block(fields.ljust(BLOCK_BYTES, b"\0"))


def seal_base_block(hive: bytes) -> bytes:
    """Return the hive with the right checksum in its base block: XOR of the 127 words before it."""
    checksum = 0
    for (word,) in struct.iter_unpack("<I", hive[:508]):
        checksum ^= word
    return hive[:508] + struct.pack("<I", checksum) + hive[512:]


def _cell(content: bytes, size_bytes: int) -> bytes:
    return (struct.pack("<i", -size_bytes) + content).ljust(size_bytes, b"\0")


def _service_keys(key: str, service: LabService) -> dict[str, list[str]]:
    values = [dword_value("Type", service.type), dword_value("Start", service.start)]
    values += [dword_value("ErrorControl", service.error_control), text_value("ImagePath", service.image_path, kind=2)]
    if service.display_name:
        values.append(text_value("DisplayName", service.display_name))
    if service.object_name:
        values.append(text_value("ObjectName", service.object_name))
    if not service.service_dll:
        return {key: values}
    return {key: values, rf"{key}\Parameters": [text_value("ServiceDll", service.service_dll, kind=2)]}


def dword_value(name: str, value: int) -> str:
    return f'"{name}"=dword:{value:08x}'


def text_value(name: str, value: str, *, kind: int = 1) -> str:
    """Return a string value as hexadecimal bytes, which leaves nothing for the tool to re-encode."""
    return binary_value(name, (value + "\0").encode("utf-16-le", "surrogatepass"), kind=kind)


def binary_value(name: str, data: bytes, *, kind: int) -> str:
    """Return a value of any type, its data as hexadecimal bytes."""
    return f'"{name}"=hex({kind:x}):{",".join(f"{byte:02x}" for byte in data)}'

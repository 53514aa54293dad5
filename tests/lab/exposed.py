"""The registry of a Windows that is open to the worm, as it is installed: each defence is put in by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tests.lab.hives import binary_value, dword_value, text_value, write_hive

Values = Mapping[str, int | str | Sequence[str]]
_POLICY = r"Services\SharedAccess\Parameters\FirewallPolicy"
_RULES = rf"{_POLICY}\FirewallRules"
SERVICING = r"Microsoft\Windows\CurrentVersion\Component Based Servicing"
INTERFACE = r"Services\NetBT\Parameters\Interfaces\Tcpip_{698E50A9-4F58-4D86-B61D-F42E58DCACF6}"
SHARING = "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|LPort={port}|App=System|Name=sharing|"
DENY_445 = "v2.10|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=445|Name=deny445|"
_NEW_FIREWALL: dict[str, Values] = {
    r"Services\MpsSvc": {"Start": 2},
    r"Services\BFE": {"Start": 2},
    **{rf"{_POLICY}\{name}Profile": {"EnableFirewall": 1} for name in ("Domain", "Standard", "Public")},
    _RULES: {f"FPS-{port}": SHARING.format(port=port) for port in (139, 445)},
}
_OLD_FIREWALL: dict[str, Values] = {
    r"Services\SharedAccess": {"Start": 2},
    **{rf"{_POLICY}\{name}Profile": {"EnableFirewall": 1} for name in ("Domain", "Standard")},
    rf"{_POLICY}\DomainProfile\GloballyOpenPorts\List": {"445:TCP": "445:TCP:LocalSubNet:Enabled:@xpsp2res.dll,-22005"},
}
_SHARING: dict[str, Values] = {
    r"Services\LanmanServer": {"Start": 2},
    r"Services\LanmanServer\Parameters": {"Size": 1},
    r"Services\srv": {"Start": 3, "ImagePath": r"System32\DRIVERS\srv.sys"},
    r"Services\mrxsmb10": {"Start": 3},
    r"Services\LanmanWorkstation": {"Start": 2, "DependOnService": ("Bowser", "MRxSmb10", "NSI")},
    r"Services\NetBT\Parameters": {"TransportBindName": "\\Device\\"},
    INTERFACE: {"NetbiosOptions": 0},
}


class ExposedWindows(Struct, frozen=True, kw_only=True):
    """One Windows: the numbers of SOFTWARE, and whether its firewall is the one of Windows Vista and later."""

    number: str = "6.1"
    build: str = "7601"
    revision: int | None = None

    @property
    def is_new(self) -> bool:
        return int(self.number.partition(".")[0]) >= 6

    def system(
        self,
        path: Path,
        changes: Mapping[str, Values | None] | None = None,
        *,
        last_good: Mapping[str, Values | None] | None = None,
    ) -> bytes:
        """Write SYSTEM with changes to its control set (None takes a key out); `last_good` makes a second one."""
        keys = {"Select": [dword_value("Current", 1), dword_value("LastKnownGood", 1 if last_good is None else 2)]}
        keys |= self._control_set(1, changes or {})
        if last_good is not None:
            keys |= self._control_set(2, last_good)
        write_hive(path, keys)
        return path.read_bytes()

    def software(self, path: Path, changes: Mapping[str, Values] | None = None) -> bytes:
        """Write SOFTWARE with further keys."""
        version: dict[str, int | str] = {
            "ProductName": "Windows of the lab",
            "CurrentVersion": self.number,
            "CurrentBuildNumber": self.build,
        }
        if self.number == "10.0":
            version |= {"CurrentMajorVersionNumber": 10, "CurrentMinorVersionNumber": 0, "CurrentVersion": "6.3"}
        if self.revision is not None:
            version["UBR"] = self.revision
        keys: dict[str, Values] = {
            r"Microsoft\Windows NT\CurrentVersion": version,
            r"Microsoft\Ole": {"EnableDCOM": "Y"},
            r"Microsoft\Rpc": {"DCOM Protocols": ("ncacn_ip_tcp",)},
        }
        write_hive(path, {key: lines(values) for key, values in (keys | dict(changes or {})).items()})
        return path.read_bytes()

    def _control_set(self, number: int, changes: Mapping[str, Values | None]) -> dict[str, list[str]]:
        keys: dict[str, Values | None] = {**_SHARING, **(_NEW_FIREWALL if self.is_new else _OLD_FIREWALL)}
        for key, values in changes.items():
            before = keys.get(key)
            keys[key] = values if values is None or before is None else {**before, **values}
        control_set = f"ControlSet{number:03d}"
        return {rf"{control_set}\{key}": lines(values) for key, values in keys.items() if values is not None}


def package(name: str, state: int, installed: int = 131390502650000000) -> dict[str, Values]:
    """Return the key of a package in a state, installed at a FILETIME."""
    times = {"InstallTimeHigh": installed >> 32, "InstallTimeLow": installed & 0xFFFFFFFF}
    return {rf"{SERVICING}\Packages\{name}": {"CurrentState": state, **times}}


def update(kb: str, state: int = 0x70) -> dict[str, Values]:
    """Return the key of an update's package."""
    return package(f"Package_for_{kb}~31bf3856ad364e35~amd64~~6.1.1.0", state)


def lines(values: Values) -> list[str]:
    """Return values as lines of a `.reg` file."""
    return [_line(name, value) for name, value in values.items()]


def _line(name: str, value: int | str | Sequence[str]) -> str:
    if isinstance(value, int):
        return dword_value(name, value)
    if isinstance(value, str):
        return text_value(name, value)
    return binary_value(name, "".join(f"{one}\0" for one in (*value, "")).encode("utf-16-le"), kind=7)

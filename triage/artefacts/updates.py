r"""Which updates a Windows has, by the name of its packages, and what else SOFTWARE says of its exposure.

Since Windows Vista each package has a key below `Component Based Servicing\Packages` with its state (`CurrentState`,
"CBS Servicing States Chart", Microsoft) and the time of its installation. Before, each hotfix left keys below
`Microsoft\Updates`, `Windows NT\CurrentVersion\HotFix` and `Uninstall`. DCOM: `EnableDCOM` of `Microsoft\Ole`, `DCOM
Protocols` of `Microsoft\Rpc` (what `dcomcnfg` sets).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from triage.artefacts.firewall import read_firewall_policy
from triage.artefacts.hive import Hive
from triage.artefacts.lookup import Lookup
from triage.model.exposure_facts import Found, SoftwareSettings, Update, UpdateState, Version
from triage.model.filetime import filetime_to_iso
from triage.model.volume import WindowsInfo

_SERVICING = r"Microsoft\Windows\CurrentVersion\Component Based Servicing"
_PACKAGE = re.compile(
    r"package_(?:\d+_)?for_(kb\d+|rollupfix)(?:_[^~]*)?~.*~(\d+)\.(\d+)\.\d+\.\d+", re.IGNORECASE | re.ASCII
)
_ROLLUP = "ROLLUPFIX"
_HOTFIX = re.compile(r"KB\d+", re.IGNORECASE | re.ASCII)
_HOTFIX_KEYS = {  # and how many levels below them the keys of hotfixes stand
    r"Microsoft\Updates": 3,
    r"Wow6432Node\Microsoft\Updates": 3,
    r"Microsoft\Windows NT\CurrentVersion\HotFix": 1,
    r"Microsoft\Windows\CurrentVersion\Uninstall": 1,
}
_STATES = {
    0x40: UpdateState.PENDING,  # staged
    0x50: UpdateState.SUPERSEDED,
    0x60: UpdateState.PENDING,  # install pending
    0x65: UpdateState.INSTALLED,  # partially: of several packages of an update those that this Windows needs
    0x70: UpdateState.INSTALLED,
    0x80: UpdateState.INSTALLED,  # permanent
}
_NUMBERS = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)


class _Named(NamedTuple):
    """The key of an update and its name; `numbers` of a package are the first two of its version."""

    name: str
    key: Lookup
    numbers: tuple[int, int] | None = None


def read_software_settings(hive: Hive, windows: WindowsInfo, names: Collection[str]) -> SoftwareSettings:
    """Read a SOFTWARE hive; `names` are the updates that matter (`KB4012212`), of others the newest time is kept."""
    root = Lookup.of(hive)
    version = windows_version(windows)
    servicing = root.key(_SERVICING)
    packages = servicing.key("Packages")
    hotfixes = {path: root.key(path) for path in _HOTFIX_KEYS}
    found = [*_packages(packages), *(one for path, key in hotfixes.items() for one in _below(key, _HOTFIX_KEYS[path]))]
    return SoftwareSettings(
        version=version,
        updates=tuple(_update(one, version) for one in found if one.name in names or one.name == _ROLLUP),
        updates_source=(packages if packages.is_there else hotfixes[r"Microsoft\Updates"]).source,
        updates_certain=all(key.is_certain for key in (packages, *hotfixes.values())),
        newest_utc=max((time for one in found if (time := one.key.last_written_utc) is not None), default=None),
        restart_pending=_presence(servicing.key("RebootPending")),
        dcom=root.key(r"Microsoft\Ole").found("EnableDCOM"),
        dcom_protocols=root.key(r"Microsoft\Rpc").found("DCOM Protocols"),
        firewall_policy=read_firewall_policy(root),
    )


def windows_version(windows: WindowsInfo) -> Version | None:
    """Return the version of Windows in numbers: `6.1 Service Pack 1` and `7601` as (6, 1, 7601, 0)."""
    number = _NUMBERS.match(windows.version or "")
    build = _NUMBERS.match(f"{windows.build or ''}.0")
    return None if number is None or build is None else (int(number[1]), int(number[2]), int(build[1]), int(build[2]))


def _presence(key: Lookup) -> Found:
    """Return a key that says something by being there."""
    return Found(source=key.source, value="there" if key.is_there else None, certain=key.is_certain)


def _packages(packages: Lookup) -> Iterator[_Named]:
    for key in packages.subkeys():
        match = _PACKAGE.fullmatch(key.name)
        if match is not None:
            yield _Named(match[1].upper(), key, (int(match[2]), int(match[3])))


def _below(key: Lookup, levels: int) -> Iterator[_Named]:
    """Yield the hotfixes that have keys of their own, so many levels below a key."""
    for subkey in key.subkeys():
        if _HOTFIX.fullmatch(subkey.name):
            yield _Named(subkey.name.upper(), subkey)
        elif levels > 1:
            yield from _below(subkey, levels - 1)


def _update(named: _Named, windows: Version | None) -> Update:
    """Return what a key says of its update. A rollup's version is build and revision of the Windows it makes."""
    name, key, numbers = named
    high, low = key.found("InstallTimeHigh").value, key.found("InstallTimeLow").value
    if numbers is None:
        state = UpdateState.ABSENT if key.found("Installed").value == 0 else UpdateState.INSTALLED
        return Update(name=name, state=state, source=key.source, installed_utc=key.last_written_utc)
    makes = (windows[0], windows[1], *numbers) if name == _ROLLUP and windows is not None else None
    state_number = key.found("CurrentState").value
    return Update(
        name=f"rollup {numbers[0]}.{numbers[1]}" if name == _ROLLUP else name,
        state=_STATES.get(state_number, UpdateState.ABSENT) if isinstance(state_number, int) else UpdateState.ABSENT,
        source=key.source,
        installed_utc=filetime_to_iso(high << 32 | low) if isinstance(high, int) and isinstance(low, int) else None,
        version=makes,
    )

"""The SOFTWARE hive: which Windows this is."""

from __future__ import annotations

from msgspec import Struct

from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.regf import Damage
from triage.model.filetime import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, filetime_to_iso
from triage.model.gap import Where
from triage.model.volume import WindowsInfo

CURRENT_VERSION = r"Microsoft\Windows NT\CurrentVersion"


class SoftwareHive(Struct, frozen=True, kw_only=True):
    """What a SOFTWARE hive says of Windows itself."""

    where: Where
    windows: WindowsInfo = WindowsInfo()


def read_software(hive: Hive) -> SoftwareHive:
    """Read what an opened SOFTWARE hive says."""
    key = hive.key(CURRENT_VERSION)
    if key is None:
        hive.note(CURRENT_VERSION, Damage(detail="not reached", offset_bytes=hive.root.offset_bytes))
        return SoftwareHive(where=hive.where)
    windows = WindowsInfo(
        product=key.text("ProductName"),
        version=_version(key),
        build=_build(key),
        installed_utc=_installed(key),
    )
    return SoftwareHive(where=hive.where, windows=windows)


def _version(key: HiveKey) -> str | None:
    """Return `6.1 Service Pack 1` or `10.0 1709`; Windows 10 leaves 6.3 in CurrentVersion."""
    major, minor = key.number("CurrentMajorVersionNumber"), key.number("CurrentMinorVersionNumber")
    number = key.text("CurrentVersion") if major is None or minor is None else f"{major}.{minor}"
    release = key.text("DisplayVersion") or key.text("ReleaseId") or key.text("CSDVersion")
    return " ".join(part for part in (number, release) if part) or None


def _build(key: HiveKey) -> str | None:
    """Return `7601` or `16299.125`; Windows XP leaves a remark in CurrentBuild."""
    build = key.text("CurrentBuildNumber") or key.text("CurrentBuild")
    revision = key.number("UBR")
    return build if build is None or revision is None else f"{build}.{revision}"


def _installed(key: HiveKey) -> str | None:
    """Return when this Windows was installed, or upgraded to this version, from a Unix time."""
    seconds = key.number("InstallDate")
    return None if seconds is None or seconds == 0 else filetime_to_iso(UNIX_EPOCH_TICKS + seconds * TICKS_PER_SECOND)

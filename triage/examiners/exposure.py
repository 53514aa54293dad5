"""The driver that had the hole: which file it is, and what it says of itself."""

from __future__ import annotations

from triage.artefacts.file_version import read_file_version
from triage.model.errors import ParseError
from triage.model.exposure_facts import Driver, DriverState

DRIVER_PATH = "system32/drivers/srv.sys"
"""Where the running copy lies below the folder of Windows; those in WinSxS are only kept."""

LARGEST_DRIVER_BYTES = 16 << 20


def examine_driver(data: bytes, path: str, changed_utc: str | None) -> Driver:
    """Read the version of srv.sys from its bytes."""
    try:
        version = read_file_version(data)
    except ParseError as error:
        return Driver(path=path, state=DriverState.UNREADABLE, changed_utc=changed_utc, detail=error.what)
    return Driver(path=path, state=DriverState.VERSION_READ, version=version, changed_utc=changed_utc)

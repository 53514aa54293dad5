"""The exposure of each Windows on a volume: its hives are examined already, the driver with the hole is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triage.examiners.exposure import DRIVER_PATH, LARGEST_DRIVER_BYTES, examine_driver
from triage.model.exposure_facts import Driver, DriverState, ExposureFacts
from triage.model.filetime import filetime_to_iso
from triage.pipeline.registry import Installation
from triage.volumes.ntfs import NtfsVolume
from triage.walk.find import find_entries
from triage.walk.mft import MftTable
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

_FOLDER, _NAME = DRIVER_PATH.rsplit("/", 1)


def exposure_facts(
    ntfs: NtfsVolume,
    table: MftTable,
    paths: Paths,
    streams: Streams,
    installations: Sequence[Installation],
    *,
    is_whole: bool,
) -> Iterator[ExposureFacts]:
    """Yield what each Windows tells; where the volume is not `is_whole`, a file that is not seen may still be there."""
    if not installations:
        return
    found = {path.lower(): (entry, path) for entry, path in find_entries(table, paths, names=("drivers", _NAME))}
    for one in installations:
        entry, path = found.get(f"{one.folder}/{DRIVER_PATH}".lower(), (None, f"{one.folder}/{DRIVER_PATH}"))
        if entry is not None:
            driver = _read_driver(ntfs, table, streams, entry, path)
        elif is_whole and f"{one.folder}/{_FOLDER}".lower() in found:
            driver = Driver(path=path, state=DriverState.MISSING)
        else:
            driver = Driver(path=path, state=DriverState.UNKNOWN)
        yield ExposureFacts(
            volume=ntfs.id,
            windows=one.folder,
            driver=driver,
            settings=() if one.system is None else one.system.settings,
            software=one.software,
            is_stale=one.is_stale,
        )


def _read_driver(ntfs: NtfsVolume, table: MftTable, streams: Streams, entry: int, path: str) -> Driver:
    """Read the driver whole; what of it cannot be read may be what tells the version."""
    head = streams.unnamed_head(entry)
    size = 0 if head is None else int(table.streams.size_bytes[head])
    if head is None or not 0 < size <= LARGEST_DRIVER_BYTES:
        return Driver(path=path, state=DriverState.UNREADABLE, detail=f"file of {size} bytes")
    plan, reader, data = streams.plan(head), StreamReader(), bytearray()
    for window in reader.windows(ntfs, plan, thorough=True):
        data += window.view[window.fresh :]
    driver = examine_driver(bytes(data), path, filetime_to_iso(table.entries.times(entry).changed))
    if driver.state is DriverState.VERSION_READ or reader.reason == "":
        return driver
    return Driver(path=path, state=DriverState.UNREADABLE, detail=reader.reason)

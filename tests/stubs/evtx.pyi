"""What `triage.artefacts.event_record` uses of evtx (pyevtx-rs); a bad record raises RuntimeError."""

from collections.abc import Iterator
from typing import BinaryIO, TypedDict

class RawRecord(TypedDict):
    event_record_id: int
    timestamp: str
    data: str

class PyEvtxParser:
    def __init__(
        self,
        path_or_file_like: str | BinaryIO,
        number_of_threads: int | None = None,
        *,
        separate_json_attributes: bool | None = None,
    ) -> None: ...
    def records(self) -> Iterator[RawRecord]: ...
    def records_json(self) -> Iterator[RawRecord]: ...

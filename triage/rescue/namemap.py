"""The name map: each file of the bag, its name, times and attributes as on the evidence, as JSON lines.

It is also the rescue's own journal: a line is durable before its file gets its final name, so that after a
crash every file found under a final name can be told, checked and reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from triage.model.entry import FileTimes, Subject
from triage.model.rescue import FileKey, RescuedFile, RescueOutcome

NAME_MAP: Final = "name-map.jsonl"


class MappedName(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: where a stream was, where its copy is, and what the destination cannot keep of it.

    `path` is as on disk, `stream` "" for a file's unnamed one, `bag_path` relative to the bag. `si` and `fn`
    are the times of $STANDARD_INFORMATION and $FILE_NAME in FILETIME ticks (100 ns since 1601, [MS-DTYP]
    2.3.3), `dos_attributes` as in [MS-FSCC] 2.6.
    """

    volume: str
    path: str
    stream: str = ""
    other_paths: tuple[str, ...] = ()
    mft_entry: int
    bag_path: str
    size_bytes: int
    sha256: str
    outcome: RescueOutcome
    detail: str = ""
    repeat: int = 0
    dos_attributes: int = 0
    si: FileTimes | None = None
    fn: FileTimes | None = None

    @property
    def record(self) -> RescuedFile:
        """What the case is told of the file once it is safe."""
        return RescuedFile(
            volume=self.volume,
            path=shown_path(self.path, self.stream),
            other_paths=self.other_paths,
            mft_entry=self.mft_entry,
            outcome=self.outcome,
            size_bytes=self.size_bytes,
            bag_path=self.bag_path,
            sha256=self.sha256,
            detail=self.detail,
            repeat=self.repeat,
        )


def shown_path(path: str, stream: str) -> str:
    """Return the path by which the case names a stream: `<path>`, or `<path>:<stream>` for a named one."""
    return f"{path}:{stream}" if stream else path


def key_of(stream: Subject | MappedName) -> FileKey:
    """Return the key that the record of a stream has, before there is one."""
    return stream.volume, stream.mft_entry, shown_path(stream.path, stream.stream), stream.repeat


def map_name(
    subject: Subject, bag_path: str, size_bytes: int, sha256: str, outcome: RescueOutcome, detail: str
) -> MappedName:
    """Return the line for the copy of `subject` at `bag_path`."""
    return MappedName(
        volume=subject.volume,
        path=subject.path,
        stream=subject.stream,
        other_paths=subject.other_paths,
        mft_entry=subject.mft_entry,
        bag_path=bag_path,
        size_bytes=size_bytes,
        sha256=sha256,
        outcome=outcome,
        detail=detail,
        repeat=subject.repeat,
        dos_attributes=subject.dos_attributes,
        si=subject.si,
        fn=subject.fn,
    )


def encode_line(mapped: MappedName) -> bytes:
    """Return the line with its line feed; one with an unpaired surrogate is written with JSON escapes."""
    try:
        return msgspec.json.encode(mapped) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(mapped)).encode("ascii") + b"\n"


def decode_line(line: bytes) -> MappedName:
    """Return what `encode_line` was given; `ValueError` (or msgspec's, which is one) for any other line."""
    try:
        return msgspec.json.decode(line, type=MappedName)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(line), MappedName)


def read_lines(bag: Path) -> Iterator[MappedName]:
    """Yield the lines of a bag's map, none where it has no map."""
    if (bag / NAME_MAP).exists():
        with (bag / NAME_MAP).open("rb") as lines:
            yield from map(decode_line, lines)


def drop_torn_line(bag: Path) -> None:
    """Cut off a last line that a crash left without its end, so that new lines do not run into it."""
    path = bag / NAME_MAP
    if path.exists():
        with path.open("r+b") as lines:
            lines.truncate(lines.read().rfind(b"\n") + 1)

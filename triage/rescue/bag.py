"""Closes a rescue as a BagIt 1.0 bag (RFC 8493), which any validator and `sha256sum -c` can check."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from triage.model.errors import RescueError
from triage.model.rescue import RescuedFile
from triage.model.text import _
from triage.rescue.committer import destination_error
from triage.rescue.filesystem import FileSystem
from triage.rescue.namemap import NAME_MAP, encode_line, read_lines
from triage.rescue.names import PAYLOAD

_DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_MANIFEST: Final = "manifest-sha256.txt"
_TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
_ENCODED = str.maketrans({"\r": "%0D", "\n": "%0A", "%": "%25"})


def write_bag(destination: Path, records: Iterable[RescuedFile], info: Mapping[str, str]) -> None:
    """Write the tag files of the bag that holds those of `records` with a `bag_path`.

    `info` becomes `bag-info.txt`, after Payload-Oxum and Bagging-Date. Each file is replaced as a whole, so
    that a bag can be closed again after more was rescued. RescueError where the destination cannot be
    written.
    """
    saved = sorted((record for record in records if record.bag_path), key=lambda record: record.bag_path)
    files = {
        "bagit.txt": _DECLARATION,
        "bag-info.txt": _bag_info(saved, info),
        _MANIFEST: "".join(_line(record.sha256, record.bag_path) for record in saved),
    }
    try:
        (destination / PAYLOAD).mkdir(parents=True, exist_ok=True)
        tags = {name: _replace(destination / name, [text.encode("utf-8")]) for name, text in files.items()}
        tags[NAME_MAP] = _replace(destination / NAME_MAP, _mapped_lines(destination, saved))
        _replace(destination / _TAG_MANIFEST, [_line(tags[name], name).encode("utf-8") for name in sorted(tags)])
        _sync(destination)
    except OSError as error:
        raise destination_error(destination, error) from error


def copy_manifests(destination: Path, folder: Path) -> None:
    """Copy the bag's manifests into a folder of the case, so that its one signature covers the bag too."""
    try:
        folder.mkdir(exist_ok=True)
        for name in (_MANIFEST, _TAG_MANIFEST):
            _replace(folder / name, [(destination / name).read_bytes()])
        _sync(folder)
    except OSError as error:
        raise RescueError(_("the bag's manifests cannot be copied to %s: %s") % (folder, error.strerror)) from error


def _line(sha256: str, path: str) -> str:
    """Return a manifest line: two spaces, as `sha256sum` writes it."""
    return f"{sha256}  {path.translate(_ENCODED)}\n"


def _bag_info(saved: Sequence[RescuedFile], info: Mapping[str, str]) -> str:
    oxum = f"{sum(record.size_bytes for record in saved)}.{len(saved)}"
    fields = {"Payload-Oxum": oxum, "Bagging-Date": f"{datetime.now(UTC):%Y-%m-%d}", **info}
    return "".join(f"{label}: {' '.join(value.split())}\n" for label, value in fields.items())


def _mapped_lines(destination: Path, saved: Sequence[RescuedFile]) -> Iterable[bytes]:
    """Return the map's lines for what is in the bag, in the manifest's order; of two for a file the later."""
    in_bag = {record.bag_path for record in saved}
    lines = {line.bag_path: encode_line(line) for line in read_lines(destination) if line.bag_path in in_bag}
    return (lines[path] for path in sorted(lines))


def _replace(path: Path, chunks: Iterable[bytes]) -> str:
    """Write a file as a whole under a temporary name and put it in place; return its SHA-256."""
    temporary = path.with_name(path.name + ".new")
    digest = hashlib.sha256()
    with temporary.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    """Make the new names durable."""
    filesystem = FileSystem(folder)
    try:
        filesystem.sync(())
    finally:
        filesystem.close()

"""Parses event logs, hives and prefetch files with their libraries and nothing else, on all cores.

Every record is decoded, every key and value read, one file after the other on each core, the largest first.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyregf
import pyscca
from evtx import PyEvtxParser

SUFFIXES = {".evtx", ".pf"}


def main() -> None:
    """Parse all files below a folder; with `--no-hives` no hive among them."""
    with_hives = "--no-hives" not in sys.argv
    files = [path for path in Path(sys.argv[1]).rglob("*") if path.is_file()]
    wanted = [path for path in files if with_hives or path.suffix in SUFFIXES]
    wanted.sort(key=lambda path: path.stat().st_size, reverse=True)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        sys.stdout.write(f"{sum(pool.map(parse, wanted))} records, keys and programs\n")


def parse(path: Path) -> int:
    """Parse one file; return how much there was."""
    if path.suffix == ".evtx":
        return _records(path)
    if path.suffix == ".pf":
        with path.open("rb") as opened:
            prefetch = pyscca.file()
            prefetch.open_file_object(opened)
            return prefetch.get_number_of_filenames()
    hive = pyregf.file()
    hive.open_file_object(io.BytesIO(path.read_bytes()))
    root = hive.get_root_key()
    return 0 if root is None else sum(1 for _ in _keys(root))


def _records(path: Path) -> int:
    records, count = PyEvtxParser(str(path), 1).records_json(), 0
    while True:
        try:
            next(records)
            count += 1
        except StopIteration:
            return count
        except RuntimeError:
            continue


def _keys(root: pyregf.key) -> Iterator[pyregf.key]:
    pending = [root]
    while pending:
        key = pending.pop()
        for index in range(key.get_number_of_values()):
            value = key.get_value(index)
            value.get_name(), value.get_type(), value.get_data()
        pending.extend(key.get_sub_key(index) for index in range(key.get_number_of_sub_keys()))
        yield key


if __name__ == "__main__":
    main()

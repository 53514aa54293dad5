"""Parses an extracted `$MFT` with the `mft` package, counting paths and streams; a process that is measured against."""

from __future__ import annotations

import sys

from mft import PyMftEntry, PyMftParser

_DATA = 0x80


def main() -> None:
    """Ask of each entry what an enumeration needs: its path and its streams."""
    paths = streams = 0
    for entry in PyMftParser(sys.argv[1]).entries():
        if not isinstance(entry, PyMftEntry):
            continue  # the parser yields its errors
        paths += entry.full_path is not None
        streams += sum(one.type_code == _DATA for one in entry.attributes() if not isinstance(one, Exception))
    sys.stdout.write(f"{paths} paths, {streams} streams\n")


main()

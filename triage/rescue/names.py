"""Gives each file a place in the bag: its own path as far as names are safe, a numbered one where two would
collide.

Most destinations (FAT, exFAT, NTFS) do not tell upper from lower case, so no two paths here differ in case
alone. A folder and a file never share a name either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from triage.model.entry import Subject
from triage.model.escape import safe_name
from triage.rescue.namemap import MappedName

PAYLOAD: Final = "data"
_NAME_LIMIT_BYTES = 255
# PATH_MAX less room for the destination's own path: what is deeper could not be opened by its path any more.
_PATH_LIMIT_BYTES = 3072
_MAX_EXTENSION_CHARACTERS = 32
_TOO_DEEP = "long-paths"
_FULL_WIDTH_PERCENT = "％"


class BagNames:
    """Hands out bag paths; for one thread. Keeps 64 bits of each path that is taken, not the path."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._folders: dict[str, str] = {}

    def keep(self, mapped: Iterable[MappedName]) -> None:
        """Take the paths that an earlier session gave, folders with them."""
        for line in mapped:
            ours = line.bag_path.split("/")[1:]
            theirs = [line.volume, *line.path.split("/")]
            for depth in range(1, len(ours)):
                self._taken.add(_key("/".join(ours[:depth])))
                if len(ours) == len(theirs):
                    self._folders["/".join(theirs[:depth])] = "/".join(ours[:depth])
            self._taken.add(_key("/".join(ours)))

    def place(self, subject: Subject) -> str:
        """Return the bag path for a stream: `data/<volume>/<path>`, a named stream's as `<name>~<stream>`."""
        folder, _, name = f"{subject.volume}/{subject.path}".rpartition("/")
        if subject.stream:
            name = f"{name}~{subject.stream}"
        place = self._free(self._folder(folder), _bag_name(name))
        if len(place.encode("utf-8")) > _PATH_LIMIT_BYTES:
            place = self._free(self._folder(f"{subject.volume}/{_TOO_DEEP}"), _bag_name(name))
        return f"{PAYLOAD}/{place}"

    def place_plainly(self, subject: Subject) -> str:
        """Return a bag path of ASCII alone, for a destination that refuses the name of `place`."""
        _, dot, extension = subject.path.rpartition("/")[2].rpartition(".")
        ending = dot + extension if extension.isascii() and extension.isalnum() and len(extension) <= 8 else ""
        place = self._free(self._folder(f"{subject.volume}/renamed"), f"mft-{subject.mft_entry}{ending}")
        return f"{PAYLOAD}/{place}"

    def _folder(self, path: str) -> str:
        """Return the bag's folder for an original one, the same each time."""
        known = self._folders.get(path)
        if known is None:
            above, _, name = path.rpartition("/")
            known = self._free(self._folder(above) if above else "", _bag_name(name))
            self._folders[path] = known
        return known

    def _free(self, folder: str, name: str) -> str:
        """Return `folder/name`, with a number before the extension where that is taken, and take it."""
        number = 1
        path = f"{folder}/{name}" if folder else name
        while (key := _key(path)) in self._taken:
            number += 1
            path = f"{folder}/{_numbered(name, number)}" if folder else _numbered(name, number)
        self._taken.add(key)
        return path


def _key(path: str) -> int:
    return hash(path.casefold())


def _bag_name(name: str) -> str:
    """Return a safe name without `%`, which RFC 8493 encodes and `sha256sum -c` does not decode."""
    return safe_name(name.replace("%", _FULL_WIDTH_PERCENT))


def _numbered(name: str, number: int) -> str:
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _MAX_EXTENSION_CHARACTERS:
        stem, dot, extension = name, "", ""
    ending = f"~{number}{dot}{extension}"
    room_bytes = _NAME_LIMIT_BYTES - len(ending.encode("utf-8"))
    return stem.encode("utf-8")[:room_bytes].decode("utf-8", "ignore") + ending

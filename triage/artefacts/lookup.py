"""A key that may not be there, looked up: what it says is told with its source, and whether absence is certain."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.hive_value import HiveValue
from triage.model.exposure_facts import Found
from triage.model.filetime import filetime_to_iso


class Lookup:
    """The place of a key. Subkeys are read once, however many of them are asked for."""

    def __init__(self, hive: Hive, key: HiveKey | None, path: str) -> None:
        self._hive = hive
        self._key = key
        self.path = path

    @classmethod
    def of(cls, hive: Hive) -> Self:
        """Return the place of a hive's root."""
        return cls(hive, hive.root, "")

    @property
    def name(self) -> str:
        """The key's own name."""
        return self.path.rpartition("\\")[2]

    @property
    def is_there(self) -> bool:
        """Whether the key was reached."""
        return self._key is not None

    @property
    def is_certain(self) -> bool:
        """Whether all that the key has was reached, and the key itself if there is one."""
        return self._hive.is_sound_at(self.path)

    @property
    def source(self) -> str:
        """The key as a source: which hive, which path."""
        return f"{self._hive.where.path or 'hive'}: {self.path}"

    @property
    def last_written_utc(self) -> str | None:
        """When the key or its values were last changed."""
        return None if self._key is None else filetime_to_iso(self._key.last_written)

    @cached_property
    def _by_name(self) -> dict[str, HiveKey]:
        return {} if self._key is None else {key.name.casefold(): key for key in self._key.subkeys()}

    def key(self, path: str) -> Lookup:
        """Return the place of a key below this one, in any case."""
        name, _backslash, rest = path.partition("\\")
        found = self._by_name.get(name.casefold())
        place = Lookup(self._hive, found, found.path if found is not None else f"{self.path}\\{name}".lstrip("\\"))
        return place.key(rest) if rest else place

    def subkeys(self) -> list[Lookup]:
        """Return the keys right below this one that were reached."""
        return [Lookup(self._hive, key, key.path) for key in self._by_name.values()]

    def values(self) -> tuple[HiveValue, ...]:
        """Return the key's values that were reached."""
        return () if self._key is None else self._key.values

    def found(self, name: str) -> Found:
        """Return one value as found."""
        value = None if self._key is None else self._key.value(name)
        source = f"{self.source}\\{name}"
        if value is None:
            return Found(source=source, certain=self.is_certain)
        return Found(source=source, value=_plain(value))


def _plain(value: HiveValue) -> int | str:
    """Return a number, text (several strings with commas), or what kind of data stands there instead."""
    if value.number is not None:
        return value.number
    return f"data of type {value.type}" if value.texts is None else ", ".join(value.texts)

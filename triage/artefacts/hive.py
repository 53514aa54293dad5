"""Registry hives, the only door to pyregf: what of a damaged hive can be reached, and a gap for what cannot.

pyregf follows pointers and does not tell when a count, a hash or a size beside them disagrees: of 200 single
mutations of one hive 105 lost keys, one of them without any error. So each key that is looked into is held
against its own node (`key_nodes.py`), and the frame of the file is checked and mended first (`regf.py`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice

import pyregf
from msgspec.structs import replace

from triage.artefacts.hive_value import HiveValue
from triage.artefacts.key_nodes import MAX_CHILDREN, KeyNode, read_key_node, subkeys_damage, values_damage
from triage.artefacts.regf import Damage, mend
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.regf_replay import replay
from triage.model.errors import ArtefactError, ParseError
from triage.model.gap import Gap, GapKind, Where

MAX_DEPTH = 512  # levels of keys: "Registry element size limits" (Microsoft)
MAX_GAPS = 200
_CAUSE = re.compile(r"libregf_\w+: (.+?)\.(?: |$)")


class Hive:
    """One opened hive. `gaps` grows as keys are looked into: what was not asked for was not checked."""

    def __init__(
        self,
        data: bytes,
        where: Where,
        damages: Iterable[Damage],
        *,
        gaps: Sequence[Gap] = (),
        as_found: bytes | None = None,
    ) -> None:
        self.data = data
        self.where = where
        self._gaps = tuple(gaps)
        self._as_found = as_found
        self._damages = dict.fromkeys(damages)  # in order, each once however often a key is looked into
        self._damaged_keys: set[str] = set()
        self._file = pyregf.file()  # has to outlive its keys
        self._file.open_file_object(io.BytesIO(data))
        root = self._file.get_root_key()
        if root is None:
            raise OSError("no root key")
        self.root = HiveKey(self, root, read_key_node(data, root.get_offset()), "")

    @cached_property
    def as_found(self) -> Hive | None:
        """The same hive without its logs; None where no log was replayed, or where only they make it readable."""
        if self._as_found is None:
            return None
        try:
            return _open(self._as_found, self.where, ())
        except ArtefactError:
            return None

    def key(self, path: str) -> HiveKey | None:
        r"""Return the key at a path like `ControlSet001\Services`, in any case; None if it is not reached."""
        return self.root.descendant(path)

    def walk(self, top: HiveKey | None = None) -> Iterator[HiveKey]:
        """Yield every key, of the whole hive or from `top` on, once, parents first, however its pointers run."""
        seen: set[int] = set()
        pending = [(top or self.root, 0)]
        while pending:
            key, depth = pending.pop()
            if key.offset_bytes in seen or depth > MAX_DEPTH:
                detail = "stands in the tree twice" if depth <= MAX_DEPTH else "lies too deep to be one"
                self.note(key.path, Damage(detail=detail, offset_bytes=key.offset_bytes))
                continue
            seen.add(key.offset_bytes)
            yield key
            pending.extend((subkey, depth + 1) for subkey in reversed(key.subkeys()))

    def note(self, path: str, damage: Damage) -> None:
        """Keep a damage met at a key for `gaps`."""
        detail = rf"key \{path}: {damage.detail}"
        self._damages[Damage(detail=detail, offset_bytes=damage.offset_bytes)] = None
        self._damaged_keys.add(path.casefold())

    def is_sound_at(self, path: str) -> bool:
        """Whether nothing disagreed so far at a key and those above it: what is not there is then truly absent."""
        names = path.casefold().split("\\")
        return self._damaged_keys.isdisjoint({"", *("\\".join(names[:depth]) for depth in range(1, len(names) + 1))})

    @property
    def is_stale(self) -> bool:
        """Whether its last changes are not in it: they stand in logs that could not be replayed, or not all."""
        return any(gap.kind is GapKind.HIVE_DIRTY and gap.material for gap in self._gaps)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What did not agree so far, the first `MAX_GAPS` one by one."""
        gaps = [*self._gaps]
        gaps += [
            Gap(
                kind=GapKind.HIVE_DAMAGED,
                detail=one.detail,
                where=replace(self.where, offset_bytes=one.offset_bytes),
            )
            for one in islice(self._damages, MAX_GAPS)
        ]
        if len(self._damages) > MAX_GAPS:
            detail = f"and {len(self._damages) - MAX_GAPS} more damages of this hive"
            gaps.append(Gap(kind=GapKind.HIVE_DAMAGED, detail=detail, where=self.where))
        return tuple(gaps)


class HiveKey:
    """One key; its subkeys and values are held against its node when they are asked for."""

    def __init__(self, hive: Hive, key: pyregf.key, node: KeyNode, path: str) -> None:
        self._hive = hive
        self._key = key
        self.node = node
        self.path = path

    @property
    def name(self) -> str:
        """Its name as it stands in the hive, unpaired surrogates included."""
        return self.node.name

    @property
    def offset_bytes(self) -> int:
        """Where its node lies in the file."""
        return self.node.offset_bytes

    @property
    def last_written(self) -> int:
        """When it or its values were last changed, as FILETIME."""
        return self.node.last_written

    def subkeys(self) -> list[HiveKey]:
        """Read the subkeys that can be read; what cannot is noted in the hive's gaps."""
        reached: list[HiveKey] = []
        for index in range(self._count(self._key.get_number_of_sub_keys, "subkeys")):
            try:
                key = self._key.get_sub_key(index)
                node = read_key_node(self._hive.data, key.get_offset())
            except (OSError, ParseError) as error:
                self.note(f"subkey {index} cannot be read: {_reason(error)}")
            else:
                path = rf"{self.path}\{node.name}" if self.path else node.name
                reached.append(HiveKey(self._hive, key, node, path))
        for damage in subkeys_damage(self._hive.data, self.node, [key.node for key in reached]):
            self._hive.note(self.path, damage)
        return reached

    @cached_property
    def values(self) -> tuple[HiveValue, ...]:
        """The values that can be read; what cannot is noted in the hive's gaps."""
        reached: list[HiveValue] = []
        for index in range(self._count(self._key.get_number_of_values, "values")):
            try:
                value = self._key.get_value(index)
                name, kind, data = value.get_name(), value.get_type(), value.get_data()
            except (OSError, UnicodeError) as error:
                self.note(f"value {index} cannot be read: {_reason(error)}")
            else:
                reached.append(HiveValue(name or "", kind or 0, data or b""))
        for damage in values_damage(self._hive.data, self.node, len(reached)):
            self._hive.note(self.path, damage)
        return tuple(reached)

    def subkey(self, name: str) -> HiveKey | None:
        """Return the subkey of that name, in any case."""
        return next((key for key in self.subkeys() if key.name.casefold() == name.casefold()), None)

    def descendant(self, path: str) -> HiveKey | None:
        r"""Return the key at a path below this one, in any case; None if it is not reached."""
        key: HiveKey | None = self
        for name in path.split("\\"):
            key = key.subkey(name) if key is not None else None
        return key

    def value(self, name: str) -> HiveValue | None:
        """Return the value of that name, in any case."""
        return next((value for value in self.values if value.name.casefold() == name.casefold()), None)

    def text(self, name: str) -> str | None:
        """Return a value as text; None where there is no such value."""
        value = self.value(name)
        return None if value is None else value.text

    def number(self, name: str) -> int | None:
        """Return a value as number; None where there is no such value or it is not a number."""
        value = self.value(name)
        return None if value is None else value.number

    def _count(self, count: Callable[[], int], what: str) -> int:
        try:
            number = count()
        except OSError as error:
            self.note(f"{what} cannot be counted: {_reason(error)}")
            return 0
        if number > MAX_CHILDREN:
            self.note(f"of {number} {what} only {MAX_CHILDREN} are looked at")
        return min(number, MAX_CHILDREN)

    def note(self, detail: str) -> None:
        """Keep a damage met at this key for the hive's gaps."""
        self._hive.note(self.path, Damage(detail=detail, offset_bytes=self.offset_bytes))


def open_hive(data: bytes, *, where: Where, logs: Sequence[LogFile] = ()) -> Hive:
    """Open a hive from its bytes: its logs replayed, and mended, both in memory, where that lets pyregf in.

    `where` is the hive's place, for its gaps and for messages. ArtefactError where there is nothing to open:
    empty, not a hive, a transaction log, no root key.
    """
    result = replay(data, where, logs)
    try:
        return _open(result.data, where, result.gaps, as_found=data if result.applied > 0 else None)
    except ArtefactError as error:
        if result.applied == 0:
            raise
        detail = f"with its logs replayed it cannot be read: {error.message}"
        return _open(data, where, (Gap(kind=GapKind.HIVE_DIRTY, detail=detail, where=where),))


def _open(data: bytes, where: Where, gaps: Sequence[Gap], *, as_found: bytes | None = None) -> Hive:
    try:
        sound, damages = mend(data)
        return Hive(sound, where, damages, gaps=gaps, as_found=as_found)
    except (OSError, ParseError) as error:
        message = f"{where.path or 'file'}: not a registry hive that can be read: {_reason(error)}"
        raise ArtefactError(message, hint="a hive starts with `regf`; was the whole file copied?") from error


def open_or_gap(data: bytes, where: Where, logs: Sequence[LogFile] = ()) -> Hive | Gap:
    """Open a hive met on a volume: one that cannot be opened is a gap there, and the job goes on."""
    try:
        return open_hive(data, where=where, logs=logs)
    except ArtefactError as error:
        return Gap(kind=GapKind.HIVE_DAMAGED, detail=error.message, where=where, bytes=len(data))


def _reason(error: Exception) -> str:
    """Return the innermost cause that a pyregf message gives, or the whole message."""
    message = str(error)
    cause = _CAUSE.search(message)
    return message if cause is None else cause[1]

"""Damage to a disk that knows its structures: a case is a number, and the same number gives the same bytes.

Most changes get past the checks over the structure they are done to (fixups, checksums), because nothing behind a check
is tried by what it stops; some do not. They come alone and several together.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.fuzz.anatomy import SECTOR_BYTES, Field, Record
from tests.fuzz.templates import Template

_EDGES = (0, 1, 2, 7, 8, 15, 16, 24, 64, 0x7F, 0x80, 0xFF, 0x100, 0x3FF, 0x400, 0xFFF, 0x1000, 0x7FFF, 0x8000, 0xFFFF)
_MOST_CHANGES = 20
_UNRENEWED = 0.15


class Mutant(NamedTuple):
    """A damaged disk, and what was done to it."""

    template: str
    disk: bytes
    story: tuple[str, ...]


class Draft:
    """A disk that is being damaged; what is done in `afterwards` is done to the bytes as they are stored."""

    def __init__(self, template: Template, random: Random) -> None:
        self.template = template
        self.random = random
        self.data = bytearray(template.anatomy.data)
        self.afterwards: list[Callable[[], None]] = []
        self.story: list[str] = []
        self._touched: list[int] = []

    def put(self, offset: int, value: bytes | bytearray, why: str) -> None:
        """Write bytes, and say so."""
        end = min(offset + len(value), len(self.data))
        if offset < end:
            self.data[offset:end] = value[: end - offset]
            self._touched += (offset, end - 1)
            self.story.append(f"{why} at {offset:#x}: {bytes(value[:16]).hex()}")

    def any_field(self) -> tuple[str, Field]:
        """Choose a kind of structure first: there are thousands of names and one boot sector."""
        fields = self.template.anatomy.fields
        group = self.random.choice(sorted(fields))
        return group, self.random.choice(fields[group])

    def any_record(self) -> Record:
        return self.random.choice(self.template.anatomy.records)

    def finish(self) -> bytes:
        """Make the checks hold again, some of those that were violated excepted; then damage what is stored."""
        for seal in self.template.anatomy.seals:
            touched = any(seal.offset <= offset < seal.offset + seal.length for offset in self._touched)
            if touched and self.random.random() < _UNRENEWED:
                self.story.append(f"check at {seal.offset:#x} not renewed")
            else:
                seal.renew(self.data)
        for change in self.afterwards:
            change()
        return bytes(self.data)


def mutate(templates: list[Template], case: int) -> Mutant:
    """Return the damaged disk of a case."""
    random = Random(case)
    draft = Draft(templates[case % len(templates)], random)
    changes = random.choice((1, 1, 1, 2, 3, random.randrange(4, _MOST_CHANGES + 1)))
    kinds, weights = zip(*_CHANGES, strict=True)
    for change in random.choices(kinds, weights, k=changes):
        change(draft)
    return Mutant(draft.template.name, draft.finish(), tuple(draft.story))


def _change_number(draft: Draft) -> None:
    """Give a field a value that is near, extreme, or another one's."""
    random = draft.random
    group, whole = draft.any_field()
    field = _part(random, whole)
    bits = 8 * field.width
    old = int.from_bytes(draft.data[field.offset : field.offset + field.width], "little")
    others = [one for one in draft.template.anatomy.fields[group] if one.width == field.width]
    other = random.choice(others or [field])
    value = random.choice(
        (
            random.getrandbits(bits),
            random.choice(_EDGES),
            -random.choice(_EDGES) - 1,
            (1 << random.randrange(bits)) + random.randrange(-1, 2),
            old + random.choice((-1, 1)) * random.randrange(1, 17),
            old << random.randrange(1, 9),
            old >> random.randrange(1, 9),
            old ^ 1 << random.randrange(bits),
            int.from_bytes(draft.data[other.offset : other.offset + other.width], "little"),
        )
    )
    value %= 1 << bits
    draft.put(field.offset, (old ^ 1 if value == old else value).to_bytes(field.width, "little"), group)


def _part(random: Random, field: Field) -> Field:
    """Choose a number within a field that is a stretch of many."""
    if field.width <= 8:
        return field
    width = random.choice((1, 2, 4))
    return Field(field.offset + random.randrange(0, field.width - width + 1), width)


def _scramble(draft: Draft) -> None:
    """Replace a stretch in a structure by zeros, ones or noise."""
    random = draft.random
    group, field = draft.any_field()
    length = random.randrange(1, 65)
    value = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    draft.put(field.offset, value, f"stretch of {group}")


def _stretch(draft: Draft) -> None:
    """Have a stream claim megabytes or terabytes: its sizes, and a run list of one run or one hole that fits them.

    Not gigabytes: of holes so many are read, which takes minutes.
    """
    random = draft.random
    at = random.choice(draft.template.anatomy.streams)
    length = random.choice((random.randrange(1, 1 << 12), random.randrange(1 << 28, 1 << 40)))
    step = random.choice((b"", bytes([random.randrange(128)])))
    pairs = bytes([len(step) << 4 | 5]) + length.to_bytes(5, "little") + step + b"\0"
    size = (length << random.choice((9, 12))).to_bytes(8, "little")
    initialized = random.choice((size, bytes(8)))
    draft.put(at.offset + 40, size + size + initialized, "stretched stream")
    draft.put(at.offset + int.from_bytes(draft.data[at.offset + 32 : at.offset + 34], "little"), pairs, "its one run")


def _copy_record(draft: Draft) -> None:
    """Put one record in another's place, or each in the other's."""
    length = draft.template.anatomy.record_bytes
    source, target = draft.any_record(), draft.any_record()
    old = draft.data[target.offset : target.offset + length]
    draft.put(target.offset, draft.data[source.offset : source.offset + length], f"record of {source.offset:#x}")
    if draft.random.random() < 0.5:
        draft.put(source.offset, old, f"record of {target.offset:#x}")


def _lose_record(draft: Draft) -> None:
    draft.put(draft.any_record().offset, bytes(draft.template.anatomy.record_bytes), "no record")


def _copy_attribute(draft: Draft) -> None:
    """Put an attribute of one record over one of another that has the room, which keeps its length."""
    source, target = draft.any_record(), draft.any_record()
    if not source.attributes or not target.attributes:
        return
    new, old = draft.random.choice(source.attributes), draft.random.choice(target.attributes)
    if new.width <= old.width:
        value = draft.data[new.offset : new.offset + new.width]
        value[4:8] = old.width.to_bytes(4, "little")
        draft.put(old.offset, value, f"attribute of {new.offset:#x}")


def _flip_stored_bits(draft: Draft) -> None:
    """Flip bits of what is stored, as a failing disk does; no check is renewed."""
    _group, field = draft.any_field()
    offsets = [field.offset + draft.random.randrange(SECTOR_BYTES) for _ in range(draft.random.randrange(1, 9))]
    bits = [(offset, 1 << draft.random.randrange(8)) for offset in offsets if offset < len(draft.data)]
    draft.story.append(f"bits flipped from {field.offset:#x} on: {bits}")

    def flip() -> None:
        for offset, bit in bits:
            if offset < len(draft.data):
                draft.data[offset] ^= bit

    draft.afterwards.append(flip)


def _misplace_sectors(draft: Draft) -> None:
    """Lose sectors, or have them hold what belongs to other ones: writes that were torn or went astray."""
    random = draft.random
    _group, field = draft.any_field()
    target = field.offset // SECTOR_BYTES * SECTOR_BYTES
    length = SECTOR_BYTES * random.choice((1, 1, 2, 8))
    source = random.randrange(0, len(draft.data) // SECTOR_BYTES) * SECTOR_BYTES
    lost = random.random() < 0.5
    draft.story.append(f"{length} bytes at {target:#x}: {'zeros' if lost else f'those of {source:#x}'}")

    def misplace() -> None:
        value = bytes(length) if lost else bytes(draft.data[source : source + length])
        draft.data[target : target + len(value)] = value

    draft.afterwards.append(misplace)


def _cut_short(draft: Draft) -> None:
    """End the disk somewhere, mostly in its last half."""
    size = len(draft.data)
    end = draft.random.randrange(size // draft.random.choice((2, 2, 2, 100)), size)
    end -= draft.random.choice((0, end % SECTOR_BYTES))
    draft.story.append(f"ends at {end:#x}")
    draft.afterwards.append(lambda: draft.data.__delitem__(slice(end, None)))


_CHANGES: tuple[tuple[Callable[[Draft], None], int], ...] = (
    (_change_number, 70),
    (_scramble, 8),
    (_stretch, 3),
    (_copy_record, 5),
    (_lose_record, 2),
    (_copy_attribute, 5),
    (_flip_stored_bits, 5),
    (_misplace_sectors, 3),
    (_cut_short, 2),
)

"""Key nodes, read beside the parser: their names, counts and lists tell what the parser did not reach.

Source: M. Suhanov, "Windows registry file format specification" (Key node, Index leaf to Index root, Key values
list, Key value, Big data).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from triage.artefacts.regf import BASE_BLOCK_BYTES, Damage, decode_utf16
from triage.model.errors import ParseError

MAX_CHILDREN = 200_000
_NO_CELL = 0xFFFFFFFF
_CELL_HEADER_BYTES = 4
_LATIN_NAME = 0x0020
_KEY_NODE = struct.Struct("<2sHQ15I2H")
_KEY_VALUE = struct.Struct("<2sHII")
_VALUE_SIGNATURE = b"vk"
_VALUE_HEADER_BYTES = 20
_IN_PLACE = 1 << 31
_BIG_DATA_SIGNATURE = b"db"
_CELL_SIZE = struct.Struct("<i")
_POINTER = struct.Struct("<I")
_LIST_HEADER = struct.Struct("<2sH")
_ELEMENT_BYTES = {b"li": 4, b"lf": 8, b"lh": 8, b"ri": 4}


class KeyNode(Struct, frozen=True, kw_only=True):
    """One key as its node tells. Offsets are of the record in the file; `parent` and lists are cells."""

    offset_bytes: int
    cell: int
    name: str
    latin_name: bytes | None
    parent: int
    subkeys: int
    subkeys_list: int
    values: int
    values_list: int
    allocated: bool
    last_written: int


class ListedKey(Struct, frozen=True):
    """One element of a subkeys list: the cell it points to and the four bytes beside it, by kind of list."""

    cell: int
    kind: bytes
    hint: bytes


def read_key_node(data: bytes, offset_bytes: int) -> KeyNode:
    """Read the key node whose record, after the cell's size, lies at `offset_bytes`; else ParseError."""
    name_at = offset_bytes + _KEY_NODE.size
    if name_at > len(data) or offset_bytes < _CELL_HEADER_BYTES:
        raise ParseError("key node", offset_bytes=offset_bytes, need_bytes=_KEY_NODE.size)
    fields = _KEY_NODE.unpack_from(data, offset_bytes)
    signature, flags, name_bytes = fields[0], fields[1], fields[18]
    raw_name = data[name_at : name_at + name_bytes]
    if signature != b"nk" or len(raw_name) != name_bytes:
        raise ParseError("key node", offset_bytes=offset_bytes)
    latin = flags & _LATIN_NAME != 0
    (cell_bytes,) = _CELL_SIZE.unpack_from(data, offset_bytes - _CELL_HEADER_BYTES)
    return KeyNode(
        offset_bytes=offset_bytes,
        cell=offset_bytes - BASE_BLOCK_BYTES - _CELL_HEADER_BYTES,
        name=raw_name.decode("latin-1") if latin else decode_utf16(raw_name),
        latin_name=raw_name if latin else None,
        parent=fields[4],
        subkeys=fields[5],
        subkeys_list=fields[7],
        values=fields[9],
        values_list=fields[10],
        allocated=cell_bytes < 0,
        last_written=fields[2],
    )


def listed_subkeys(data: bytes, node: KeyNode) -> list[ListedKey]:
    """Return the elements of a key's subkeys list, of an index root's lists together, up to `MAX_CHILDREN`.

    ParseError where a list does not lie in the file or is none.
    """
    if node.subkeys_list == _NO_CELL:
        return []
    kind, elements = _read_list(data, node.subkeys_list)
    if kind != b"ri":
        return elements
    listed = (key for leaf in elements for key in _read_list(data, leaf.cell)[1])
    return list(islice(listed, MAX_CHILDREN))


def _read_list(data: bytes, cell: int) -> tuple[bytes, list[ListedKey]]:
    at = BASE_BLOCK_BYTES + cell + _CELL_HEADER_BYTES
    elements_at = at + _LIST_HEADER.size
    if elements_at > len(data):
        raise ParseError("subkeys list", offset_bytes=at, need_bytes=_LIST_HEADER.size)
    kind, count = _LIST_HEADER.unpack_from(data, at)
    if kind not in _ELEMENT_BYTES:
        raise ParseError("subkeys list", offset_bytes=at)
    step = _ELEMENT_BYTES[kind]
    body = data[elements_at : elements_at + count * step]
    if len(body) != count * step:
        raise ParseError("subkeys list", offset_bytes=at, need_bytes=count * step, have_bytes=len(body))
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    return kind, [ListedKey(int.from_bytes(piece[:4], "little"), kind, piece[4:]) for piece in pieces]


def subkeys_damage(data: bytes, node: KeyNode, reached: Sequence[KeyNode]) -> Iterator[Damage]:
    """Compare the subkeys that a parser reached with the key's own count and with its list of them."""
    try:
        listed = listed_subkeys(data, node)
    except ParseError as error:
        yield Damage(detail=f"subkeys list cannot be read: {error}", offset_bytes=node.offset_bytes)
        return
    if not node.subkeys == len(listed) == len(reached):
        detail = f"{node.subkeys} subkeys declared, {len(listed)} listed, {len(reached)} reached"
        yield Damage(detail=detail, offset_bytes=node.offset_bytes)
    by_cell = {key.cell: key for key in listed}
    for cell in sorted(by_cell.keys() - {child.cell for child in reached}):
        yield _unreached(data, cell)
    for child in reached:
        if child.parent != node.cell:
            yield Damage(detail="subkey names another key as its parent", offset_bytes=child.offset_bytes)
        if not child.allocated:
            yield Damage(detail="subkey lies in a free cell", offset_bytes=child.offset_bytes)
        if child.cell in by_cell and not _name_fits(child, by_cell[child.cell]):
            yield Damage(detail="subkey's name does not fit its hash", offset_bytes=child.offset_bytes)


def _unreached(data: bytes, cell: int) -> Damage:
    """Name a subkey that the parser did not reach, where its node still tells."""
    offset_bytes = BASE_BLOCK_BYTES + cell + _CELL_HEADER_BYTES
    try:
        detail = f"subkey {read_key_node(data, offset_bytes).name} not reached"
    except ParseError:
        detail = "subkey without a readable name not reached"
    return Damage(detail=detail, offset_bytes=offset_bytes)


def values_damage(data: bytes, node: KeyNode, reached: int) -> Iterator[Damage]:
    """Compare the values that a parser reached with the key's count and list, and look at each one's record."""
    if node.values != reached:
        detail = f"{node.values} values declared, {reached} reached"
        yield Damage(detail=detail, offset_bytes=node.offset_bytes)
    elif node.values == 0 and node.values_list != _NO_CELL:
        yield Damage(detail="no values declared, yet a list of them", offset_bytes=node.offset_bytes)
    if node.values == 0:
        return
    listed = _cell(data, node.values_list)[: _POINTER.size * min(node.values, MAX_CHILDREN)]
    for number, (cell,) in enumerate(_POINTER.iter_unpack(listed[: len(listed) // _POINTER.size * _POINTER.size])):
        problem = _value_problem(data, cell)
        if problem is not None:
            yield Damage(detail=f"value {number}: {problem}", offset_bytes=BASE_BLOCK_BYTES + cell + _CELL_HEADER_BYTES)


def _value_problem(data: bytes, cell: int) -> str | None:
    """Say what of a value's record contradicts itself; None where it holds together.

    A parser that follows the pointers takes whatever lies there for a value, under no name or a name cut short.
    """
    record = _cell(data, cell)
    if len(record) < _KEY_VALUE.size or not record.startswith(_VALUE_SIGNATURE):
        return "no value record where the list points"
    _signature, name_bytes, data_bytes, data_cell = _KEY_VALUE.unpack_from(record)
    if _VALUE_HEADER_BYTES + name_bytes > len(record):
        return "its name does not fit into its cell"
    if data_bytes & _IN_PLACE or data_bytes == 0:
        return None
    content = _cell(data, data_cell)
    if len(content) < data_bytes and not content.startswith(_BIG_DATA_SIGNATURE):
        return "its data do not fit into their cell"
    return None


def _cell(data: bytes, cell: int) -> bytes:
    """Return what a cell in use holds; nothing where it is free or does not lie in the file."""
    at = BASE_BLOCK_BYTES + cell
    if at + _CELL_HEADER_BYTES > len(data):
        return b""
    (size_bytes,) = _CELL_SIZE.unpack_from(data, at)
    return data[at + _CELL_HEADER_BYTES : at - size_bytes]


def _name_fits(node: KeyNode, listed: ListedKey) -> bool:
    """Check a hash leaf's hash of the name, or a fast leaf's hint, its first four characters."""
    if listed.kind == b"lh":
        return int.from_bytes(listed.hint, "little") in _name_hashes(node.name)
    if listed.kind == b"lf" and node.latin_name is not None:
        return listed.hint.rstrip(b"\0").upper() == node.latin_name[:4].upper()
    return True


def _name_hashes(name: str) -> tuple[int, int]:
    """Return the hash of the upper-case UTF-16 units, and hivex's: that of UTF-8 in signed bytes."""
    upper = "".join(character.upper() if len(character.upper()) == 1 else character for character in name)
    units = memoryview(upper.encode("utf-16-le", "surrogatepass")).cast("H")
    signed_bytes = memoryview(name.encode("utf-8", "surrogatepass").upper()).cast("b")
    return _hash(units), _hash(signed_bytes)


def _hash(units: Iterable[int]) -> int:
    value = 0
    for unit in units:
        value = (value * 37 + unit) & 0xFFFF_FFFF
    return value

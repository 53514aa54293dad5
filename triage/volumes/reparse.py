"""Reparse points: what stands in the place of a file or folder, and where it leads. Nothing here follows one.

Sources: [MS-FSCC] 2.1.2.1 (tags), 2.1.2.2 and 2.1.2.3 (buffers), 2.1.2.4 (symbolic link), 2.1.2.5 (mount point),
2.1.2.6 (NFS); WSL's source (`LxSymLink`) for its links. The buffer of an application's alias is not documented: version
3, then strings, the third of which is the program.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from triage.model.errors import ParseError

LARGEST_REPARSE_BYTES = 16 << 10
WOF_TAG = 0x80000017
_HEADER = struct.Struct("<IHH")
_GUID_BYTES = 16
_OF_MICROSOFT = 0x80000000
_NAME_SURROGATE = 0x20000000
_CLOUD_MASK, _CLOUD = 0xFFFF0FFF, 0x9000001A
_SYMBOLIC_LINK = 0xA000000C
_MOUNT_POINT = 0xA0000003
_RELATIVE = 1
_APP_VERSION, _APP_TARGET = 3, 2
_WSL_LINK_VERSION = 2
_NFS_LINK = 0x014B4E4C


class Content(StrEnum):
    """Where the content of an entry with a reparse point is."""

    NONE = "none"  # the reparse point is all there is to it: a link, a socket
    HERE_OR_ELSEWHERE = "here-or-elsewhere"  # in its stream where that has clusters, else on another store
    ENCODED = "encoded"  # on this volume, in a form that is not decoded


class Sort(Struct, frozen=True):
    """What a reparse tag means: its name in words, where the content is, and how a target is read from the buffer."""

    name: str
    content: Content
    target: Callable[[bytes], str] | None = None


class ReparsePoint(Struct, frozen=True, kw_only=True):
    """A reparse point: its tag, what that means in words, its target as the buffer has it; "" where it names none."""

    tag: int
    name: str
    content: Content
    target: str = ""

    @property
    def described(self) -> str:
        """What it is and where it leads, in one line of text; the target is as hostile as any name."""
        return f"{self.name} to {self.target}, not followed" if self.target else self.name


def parse_reparse_point(buffer: bytes) -> ReparsePoint:
    """Parse a whole reparse point; `ParseError` where its buffer is damaged."""
    if len(buffer) < _HEADER.size:
        raise ParseError("reparse point cut short", need_bytes=_HEADER.size, have_bytes=len(buffer))
    tag, length, _reserved = _HEADER.unpack_from(buffer)
    start = _HEADER.size if tag & _OF_MICROSOFT else _HEADER.size + _GUID_BYTES
    if start + length > len(buffer):
        raise ParseError("reparse point cut short", need_bytes=start + length, have_bytes=len(buffer))
    sort = sort_of(tag)
    target = "" if sort.target is None else sort.target(buffer[start : start + length])
    return ReparsePoint(tag=tag, name=sort.name, content=sort.content, target=target)


def sort_of(tag: int) -> Sort:
    """Return what is known of a tag; of one that is not known, what its bits tell."""
    known = _SORTS.get(_CLOUD if tag & _CLOUD_MASK == _CLOUD else tag)
    if known is not None:
        return known
    if tag & _NAME_SURROGATE:
        return Sort(f"link of an unknown kind (reparse tag 0x{tag:08X})", Content.NONE)
    return Sort(f"reparse tag 0x{tag:08X}", Content.HERE_OR_ELSEWHERE)


def _symbolic_link(data: bytes) -> str:
    """Return the target of a symbolic link; one that starts from the link's own folder says so."""
    names = _path_names(data, 12)
    relative = int.from_bytes(data[8:12], "little") & _RELATIVE
    return f"{names} (relative)" if relative else names


def _mount_point(data: bytes) -> str:
    return _path_names(data, 8)


def _path_names(data: bytes, path_buffer: int) -> str:
    """Return the substitute name, which is what Windows follows; the print name is for show and may differ."""
    if len(data) < path_buffer:
        raise ParseError("reparse point without its names", need_bytes=path_buffer, have_bytes=len(data))
    offset, length = struct.unpack_from("<HH", data)
    return _utf16(data[path_buffer:], offset, length)


def _nfs(data: bytes) -> str:
    """Return the target of a link; the other NFS files (devices, FIFOs, sockets) have none."""
    if len(data) < 8:
        raise ParseError("NFS reparse point cut short", need_bytes=8, have_bytes=len(data))
    is_link = int.from_bytes(data[:8], "little") == _NFS_LINK
    return _utf16(data, 8, len(data) - 8) if is_link else ""


def _wsl_link(data: bytes) -> str:
    """Return the target of a link of the Windows Subsystem for Linux: a version, then the path in UTF-8."""
    if len(data) < 4 or int.from_bytes(data[:4], "little") != _WSL_LINK_VERSION:
        raise ParseError("WSL link of an unknown version", have_bytes=len(data))
    return data[4:].decode("utf-8", "backslashreplace")


def _application(data: bytes) -> str:
    """Return the program that an application's alias starts."""
    if len(data) < 4 or int.from_bytes(data[:4], "little") != _APP_VERSION:
        raise ParseError("application alias of an unknown version", have_bytes=len(data))
    strings = _utf16(data, 4, len(data) - 4).split("\0")
    if len(strings) <= _APP_TARGET:
        raise ParseError("application alias without its program", have_bytes=len(data))
    return strings[_APP_TARGET]


def _utf16(data: bytes, offset: int, length: int) -> str:
    """Return a name by its place, unpaired surrogates kept."""
    if length % 2 != 0 or offset + length > len(data):
        raise ParseError("name of a reparse point", offset_bytes=offset, need_bytes=length, have_bytes=len(data))
    return data[offset : offset + length].decode("utf-16-le", "surrogatepass")


_SORTS = {
    _MOUNT_POINT: Sort("junction or mount point", Content.NONE, _mount_point),
    _SYMBOLIC_LINK: Sort("symbolic link", Content.NONE, _symbolic_link),
    0xA0000019: Sort("global reparse point", Content.NONE, _symbolic_link),
    0xA000001D: Sort("WSL symbolic link", Content.NONE, _wsl_link),
    0x80000023: Sort("UNIX socket", Content.NONE),
    0x80000024: Sort("WSL FIFO", Content.NONE),
    0x80000025: Sort("WSL character device", Content.NONE),
    0x80000026: Sort("WSL block device", Content.NONE),
    0x80000014: Sort("NFS special file", Content.NONE, _nfs),
    0x8000001B: Sort("application alias", Content.NONE, _application),
    0x8000000A: Sort("DFS link", Content.NONE),
    0x80000012: Sort("DFS replication link", Content.NONE),
    0xA0000022: Sort("ProjFS tombstone", Content.NONE),
    0xA000001F: Sort("Windows Container tombstone", Content.NONE),
    _CLOUD: Sort("cloud placeholder", Content.HERE_OR_ELSEWHERE),
    0x80000021: Sort("OneDrive placeholder", Content.HERE_OR_ELSEWHERE),
    0x9000001C: Sort("ProjFS placeholder", Content.HERE_OR_ELSEWHERE),
    0x8000001E: Sort("Azure File Sync placeholder", Content.HERE_OR_ELSEWHERE),
    0xC0000004: Sort("HSM", Content.HERE_OR_ELSEWHERE),
    0x80000006: Sort("HSM", Content.HERE_OR_ELSEWHERE),
    0x80000008: Sort("WIM mount", Content.HERE_OR_ELSEWHERE),
    0x80000018: Sort("Windows Container placeholder", Content.HERE_OR_ELSEWHERE),
    0x90001018: Sort("Windows Container placeholder", Content.HERE_OR_ELSEWHERE),
    0x80000013: Sort("deduplicated by Windows Server", Content.ENCODED),
    0x80000007: Sort("single instance storage", Content.ENCODED),
    WOF_TAG: Sort("compressed by CompactOS (WOF)", Content.ENCODED),
}

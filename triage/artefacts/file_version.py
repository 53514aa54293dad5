"""The version of a program or driver, from the resource that Windows itself goes by. The only door to pefile.

`VS_FIXEDFILEINFO` counts, not the text beside it, which may say something else (`6.3.9600.16384` in later builds too).
pefile reads the headers. The three levels of the resource (type, name, language) are walked here: pefile's own walk
decodes all strings on its way, and a hostile file of 64 KiB makes it do so for seconds, a larger one for hours.
Source: "PE Format", "VS_VERSIONINFO structure" and "VS_FIXEDFILEINFO structure" (Microsoft).
"""

from __future__ import annotations

import struct

import pefile

from triage.model.errors import ParseError
from triage.model.exposure_facts import Version

_RESOURCES = 2  # IMAGE_DIRECTORY_ENTRY_RESOURCE
_RT_VERSION = 16
_DIRECTORY = struct.Struct("<12xHH")
_ENTRY = struct.Struct("<II")
_DATA = struct.Struct("<II8x")
_BELOW = 1 << 31
_KEY = "VS_VERSION_INFO\0".encode("utf-16-le")
_FIXED_OFFSET = 6 + len(_KEY) + 2  # behind the key, at a multiple of four
_FIXED = struct.Struct("<II4H")
_SIGNATURE = 0xFEEF04BD


def read_file_version(data: bytes) -> Version:
    """Return the version of a PE file; ParseError where it has none, or is none."""
    try:
        headers = pefile.PE(data=data, fast_load=True)
        root = headers.OPTIONAL_HEADER.DATA_DIRECTORY[_RESOURCES].VirtualAddress
        if root == 0:
            raise ParseError("no resources")
        types = _read(headers, root, _DIRECTORY)
        return _version(headers, root, _named(headers, root, sum(types)))
    except (pefile.PEFormatError, IndexError) as error:
        raise ParseError(f"no version resource: {error}") from error


def _named(headers: pefile.PE, root: int, count: int) -> int:
    """Return where the directory of the resources of type RT_VERSION lies, counted from the root."""
    for index in range(count):
        identifier, below = _read(headers, root + _DIRECTORY.size + index * _ENTRY.size, _ENTRY)
        if identifier == _RT_VERSION:
            return below
    raise ParseError("no resource of type RT_VERSION")


def _version(headers: pefile.PE, root: int, below: int) -> Version:
    """Follow the first name and the first language down to the resource, and read it."""
    for _level in ("name", "language"):
        if not below & _BELOW:
            raise ParseError("resource directory ends early", offset_bytes=below)
        directory = root + (below & ~_BELOW)
        _identifier, below = _read(headers, directory + _DIRECTORY.size, _ENTRY)
    address, size = _read(headers, root + (below & ~_BELOW), _DATA)
    if size < _FIXED_OFFSET + _FIXED.size:
        raise ParseError("version resource is too short", need_bytes=_FIXED_OFFSET + _FIXED.size, have_bytes=size)
    key = headers.get_data(address + 6, len(_KEY))
    signature, _structure, minor, major, revision, build = _read(headers, address + _FIXED_OFFSET, _FIXED)
    if key != _KEY or signature != _SIGNATURE:
        raise ParseError("not a version resource", offset_bytes=address)
    return major, minor, build, revision


def _read(headers: pefile.PE, address: int, form: struct.Struct) -> tuple[int, ...]:
    """Read numbers at an address of the loaded file; ParseError where it ends before them."""
    data = headers.get_data(address, form.size)
    if len(data) != form.size:
        raise ParseError("file is cut off", offset_bytes=address, need_bytes=form.size, have_bytes=len(data))
    return form.unpack(data)

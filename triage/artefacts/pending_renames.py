r"""Files that Windows renames or deletes at its next start, before anything else runs.

`PendingFileRenameOperations` of the session manager holds pairs of paths; an empty second one means deletion
("MoveFileEx function", MOVEFILE_DELAY_UNTIL_REBOOT; Microsoft). A `!` before it allows replacing a file.
"""

from __future__ import annotations

from msgspec import Struct

from triage.artefacts.hive import HiveKey
from triage.artefacts.regf import decode_utf16

_KEY = "Session Manager"
_VALUES = ("PendingFileRenameOperations", "PendingFileRenameOperations2")
_NATIVE_PREFIX = "\\??\\"


class PendingRename(Struct, frozen=True, kw_only=True):
    r"""One file to be renamed; `target` is "" where it will be deleted. Paths are DOS paths (`C:\...`)."""

    source: str
    target: str


class PendingRenames(Struct, frozen=True, kw_only=True):
    """What one control set has pending. `value` names the registry value that holds it."""

    control_set: int
    key_path: str
    value: str
    offset_bytes: int
    last_written: int
    operations: tuple[PendingRename, ...]


def read_pending_renames(control: HiveKey, control_set: int) -> tuple[PendingRenames, ...]:
    """Read both values below a control set's `Control` key."""
    key = control.subkey(_KEY)
    if key is None:
        return ()
    return tuple(
        PendingRenames(
            control_set=control_set,
            key_path=key.path,
            value=value.name,
            offset_bytes=key.offset_bytes,
            last_written=key.last_written,
            operations=_operations(key, decode_utf16(value.data)),
        )
        for name in _VALUES
        if (value := key.value(name)) is not None
    )


def _operations(key: HiveKey, text: str) -> tuple[PendingRename, ...]:
    """Take the strings in pairs up to the first that has no source; empty strings are part of the list."""
    strings = text.split("\0")
    operations: list[PendingRename] = []
    for source, target in zip(strings[::2], strings[1::2], strict=False):
        if source == "":
            return tuple(operations)
        operations.append(PendingRename(source=_dos_path(source), target=_dos_path(target.removeprefix("!"))))
    if strings[-1] != "" or len(strings) % 2 == 0:
        key.note("the list of files to rename at the next start is cut off")
    return tuple(operations)


def _dos_path(path: str) -> str:
    return path.removeprefix(_NATIVE_PREFIX)

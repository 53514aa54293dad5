"""Prefetch files: which program ran, from where, how often and when; this is the only door to libscca.

Windows XP to 11 keep one for each program and place, compressed since Windows 10 (`MAM`). Source: J. Metz, "Windows
Prefetch File (PF) format" (libscca). They carry no checksum: what can be held against each other is.
"""

from __future__ import annotations

import io
import re
import struct

import pyscca
from msgspec import Struct

from triage.model.errors import ArtefactError

_COMPRESSED = b"MAM"
_HEADER = struct.Struct("<I4sII")
_NAME = re.compile(r"(?P<program>.+)-(?P<hash>[0-9A-F]{8})\.pf", re.IGNORECASE)
_RUN_TIMES_SINCE = 26  # version of Windows 8: eight of them; before, one
_MOST_RUN_TIMES = 8
_CAUSE = re.compile(r"lib\w+: (.+?)\.(?: |$)")


class Prefetch(Struct, frozen=True, kw_only=True):
    r"""What one prefetch file says. `run_times` are FILETIMEs, the latest first.

    `paths` are the files that the program had loaded ten seconds after its start, among them itself, as
    `\DEVICE\HARDDISKVOLUME1\…` or `\VOLUME{…}\…`. `damage` says in words what does not agree, "" where all does.
    """

    version: int
    program: str
    hash: int
    run_count: int
    run_times: tuple[int, ...]
    paths: tuple[str, ...]
    damage: str = ""

    @property
    def program_path(self) -> str:
        """Where the program lay; only its name where that is not told."""
        ending = f"\\{self.program.upper()}"
        return next((path for path in self.paths if path.upper().endswith(ending)), self.program)


def read_prefetch(data: bytes, file_name: str) -> Prefetch:
    """Read a prefetch file, which is held against its own name; ArtefactError where it cannot be read."""
    file = pyscca.file()
    try:
        file.open_file_object(io.BytesIO(data))
        version = file.get_format_version()
        program, digest = file.get_executable_filename() or "", file.get_prefetch_hash() or 0
        times = (file.get_last_run_time_as_integer(index) or 0 for index in range(_run_times(version)))
        return Prefetch(
            version=version,
            program=program,
            hash=digest,
            run_count=file.get_run_count(),
            run_times=tuple(time for time in times if time > 0),
            paths=tuple(file.get_filename(index) or "" for index in range(file.get_number_of_filenames())),
            damage=_damage(data, file_name, program, digest),
        )
    except (OSError, ValueError) as error:
        causes = _CAUSE.findall(str(error))
        message = f"prefetch file cannot be read: {causes[-1] if causes else error}"
        raise ArtefactError(message, hint="was the whole file copied?") from error


def program_of_name(file_name: str) -> str:
    """Return the program of which a prefetch file tells by its own name, `PROGRAM.EXE-0123ABCD.pf`; "" for none."""
    match = _NAME.fullmatch(file_name)
    return match["program"] if match is not None else ""


def _run_times(version: int) -> int:
    return _MOST_RUN_TIMES if version >= _RUN_TIMES_SINCE else 1


def _damage(data: bytes, file_name: str, program: str, digest: int) -> str:
    """Return what does not agree: the length that the file tells of itself, its name, its hash."""
    name = _NAME.fullmatch(file_name)
    if not data.startswith(_COMPRESSED):
        told = _HEADER.unpack_from(data)[-1]
        if told != len(data):
            return f"is {len(data)} bytes long and should be {told}"
    if name is not None and (name["program"].lower(), int(name["hash"], 16)) != (program.lower(), digest):
        return f"tells of {program} with the hash {digest:08X}"
    return ""

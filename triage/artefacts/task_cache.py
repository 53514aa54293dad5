r"""`TaskCache` of a SOFTWARE hive: from here Windows runs its scheduled tasks, whatever became of their files.

`Tasks\{GUID}` holds one task: its `Path` (the name that Task Scheduler shows), `DynamicInfo` (when it was registered
and last started), and since Windows 8 `Actions`, without which the XML file alone says what it does. `Tree` has a key
for each task that is shown; one that has none there is hidden from the tools of Windows.

`Actions` is a version (1 to 3), since version 2 the id of the account's entry, then actions: a kind, the action's id,
and its fields. Strings stand behind their length in bytes.

Source: J. Metz, winreg-kb (task cache); "Windows Registry Analysis – Today's Episode: Tasks" (cyber.wtf, 2022).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.regf import decode_utf16
from triage.artefacts.scheduled_task import ScheduledTask, TaskProgram
from triage.artefacts.software import CURRENT_VERSION
from triage.model.errors import ParseError

TASK_CACHE = rf"{CURRENT_VERSION}\Schedule\TaskCache"
_DYNAMIC = struct.Struct("<IQQ")
_EXECUTE, _COM_HANDLER, _SEND_MAIL, _SHOW_MESSAGE = 0x6666, 0x7777, 0x8888, 0x9999
_MAIL_FIELDS, _MESSAGE_FIELDS = 8, 2
_VERSIONS = (1, 2, 3)
_WITH_FLAGS = 3
_GUID_BYTES = 16


class CachedTask(Struct, frozen=True, kw_only=True):
    r"""One task as the registry has it: `name` is `\Folder\Task`. FILETIMEs are 0 where they are not told.

    `is_listed`: the tools of Windows show it. `problem` says why its actions are not known, or not all of them.
    """

    name: str
    task: ScheduledTask
    key_path: str
    offset_bytes: int
    key_last_written: int
    registered: int = 0
    last_run: int = 0
    is_listed: bool = False
    problem: str = ""


def read_task_cache(hive: Hive) -> Iterator[CachedTask]:
    """Yield the tasks whose actions the registry has; of Windows 7 and older there are none."""
    tasks, tree = hive.key(rf"{TASK_CACHE}\Tasks"), hive.key(rf"{TASK_CACHE}\Tree")
    listed = set() if tree is None else {key.path[len(tree.path) :].casefold() for key in hive.walk(tree)}
    for key in [] if tasks is None else tasks.subkeys():
        actions = key.value("Actions")
        if actions is not None:
            name = key.text("Path") or key.name
            yield _cached(key, name, actions.data, is_listed=name.casefold() in listed)


def parse_actions(data: bytes) -> ScheduledTask:
    """Parse a task's actions; ParseError where they have another form. Damage ends the list: none has a length."""
    fields = _Fields(data)
    version = fields.number(2)
    if version not in _VERSIONS:
        raise ParseError(f"actions of version {version}")
    if version > 1:
        fields.text()
    programs: list[TaskProgram] = []
    others: list[str] = []
    damage = ""
    try:
        while fields.at < len(data):
            _action(fields, version, programs, others)
    except ParseError as error:
        damage = str(error)
    if not programs and not others:
        damage = damage or "no action in it"
    return ScheduledTask(programs=tuple(programs), others=tuple(others), damage=damage)


class _Fields:
    """Reads little-endian numbers and strings one behind the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        if self.at + length > len(self._data):
            have = len(self._data) - self.at
            raise ParseError("actions end early", offset_bytes=self.at, need_bytes=length, have_bytes=have)
        self.at += length
        return self._data[self.at - length : self.at]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def text(self) -> str:
        return decode_utf16(self.take(self.number(4))).rstrip("\0")


def _action(fields: _Fields, version: int, programs: list[TaskProgram], others: list[str]) -> None:
    """Read one action and add it to the programs or to the others."""
    at, kind = fields.at, fields.number(2)
    fields.text()  # the action's id
    if kind == _EXECUTE:
        program = TaskProgram(fields.text(), fields.text(), fields.text())
        if version >= _WITH_FLAGS:
            fields.number(2)
        programs.append(program)
    elif kind == _COM_HANDLER:
        guid = UUID(bytes_le=fields.take(_GUID_BYTES))
        fields.text()
        others.append(f"ComHandler {{{str(guid).upper()}}}")
    elif kind == _SEND_MAIL:
        for _field in range(_MAIL_FIELDS):
            fields.text()
        for strings in (1, 2):  # names of attached files; headers, each a name and a value
            for _string in range(strings * fields.number(4)):
                fields.text()
        others.append("SendEmail")
    elif kind == _SHOW_MESSAGE:
        for _field in range(_MESSAGE_FIELDS):
            fields.text()
        others.append("ShowMessage")
    else:
        raise ParseError(f"action of unknown kind 0x{kind:04x}", offset_bytes=at)


def _cached(key: HiveKey, name: str, actions: bytes, *, is_listed: bool) -> CachedTask:
    try:
        task, problem = parse_actions(actions), ""
    except ParseError as error:
        task, problem = ScheduledTask(), str(error)
    dynamic = key.value("DynamicInfo")
    has_times = dynamic is not None and len(dynamic.data) >= _DYNAMIC.size
    _version, registered, last_run = _DYNAMIC.unpack_from(dynamic.data) if dynamic and has_times else (0, 0, 0)
    return CachedTask(
        name=name,
        task=replace(task, author=key.text("Author") or "", registered=key.text("Date") or ""),
        key_path=key.path,
        offset_bytes=key.offset_bytes,
        key_last_written=key.last_written,
        registered=registered,
        last_run=last_run,
        is_listed=is_listed,
        problem=problem or task.damage,
    )

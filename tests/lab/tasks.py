r"""Writes scheduled tasks in their three forms: XML files, `.job` files, and `TaskCache` of a SOFTWARE hive; none runs.

XML after the schema in [MS-TSCH] 2.5, `.job` after [MS-TSCH] 2.4, the values of the registry after J. Metz, winreg-kb.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import NAMESPACE_DNS, UUID, uuid5
from xml.sax.saxutils import escape

from msgspec import Struct

from tests.lab import hives

TASKS = "Windows/System32/Tasks"
REGISTERED = 131_390_478_900_000_000
LAST_RUN = 131_390_479_500_000_000
_CACHE = r"Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache"
_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


class LabTask(Struct, frozen=True, kw_only=True):
    """One task; `handlers` are classes of COM that it calls, too. `trigger` is an element of the schema."""

    command: str
    arguments: str = ""
    working_directory: str = ""
    author: str = r"WIN7-PC\alice"
    date: str = "2017-05-12T15:31:00"
    user: str = "S-1-5-18"
    trigger: str = "BootTrigger"
    enabled: bool = True
    hidden: bool = False
    handlers: tuple[UUID, ...] = ()


def task_xml(task: LabTask, *, encoding: str = "utf-16-le", mark: bytes = b"\xff\xfe") -> bytes:
    """Return a task as its file has it."""
    handlers = "".join(f"<ComHandler><ClassId>{{{one}}}</ClassId></ComHandler>" for one in task.handlers)
    text = f"""<?xml version="1.0" encoding="{"UTF-16" if mark else "UTF-8"}"?>\r
<Task version="1.2" xmlns="{_NAMESPACE}">
  <RegistrationInfo><Date>{task.date}</Date><Author>{escape(task.author)}</Author></RegistrationInfo>
  <Triggers><{task.trigger}><Enabled>true</Enabled></{task.trigger}></Triggers>
  <Principals>
    <Principal id="Author"><UserId>{task.user}</UserId><RunLevel>HighestAvailable</RunLevel></Principal>
  </Principals>
  <Settings><Hidden>{str(task.hidden).lower()}</Hidden><Enabled>{str(task.enabled).lower()}</Enabled></Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(task.command)}</Command>
      <Arguments>{escape(task.arguments)}</Arguments>
      <WorkingDirectory>{escape(task.working_directory)}</WorkingDirectory>
    </Exec>{handlers}
  </Actions>
</Task>"""
    return mark + text.encode(encoding)


def job_file(task: LabTask, *, triggers: Sequence[int] = (1,), flags: int = 0) -> bytes:
    """Return a task as Windows XP keeps it; `triggers` are kinds of `mstask.h`."""
    variable = struct.pack("<H", 0)  # running instances
    for text in (task.command, task.arguments, task.working_directory, task.author, "comment"):
        raw = (text + "\0").encode("utf-16-le", "surrogatepass") if text else b""
        variable += struct.pack("<H", len(raw) // 2) + raw
    variable += struct.pack("<H4sH8s", 4, b"user", 8, bytes(8))
    triggers_at = 68 + len(variable)
    variable += struct.pack("<H", len(triggers))
    for kind in triggers:
        variable += struct.pack("<10H4I6H", 48, 0, 2017, 5, 12, 0, 0, 0, 15, 31, 0, 0, 0, kind, 1, 0, 0, 0, 0, 0)
    variable += struct.pack("<HH64s", 1, 1, bytes(64))
    moment = (2017, 5, 5, 12, 15, 31, 2, 500)
    fixed = struct.pack("<HH16sHHHHHH", 0x501, 1, bytes(range(16)), 70, triggers_at, 0, 0, 60, 10)
    fixed += struct.pack("<IIIII8H", 0x20, 259_200_000, 0, 0x41303, flags, *moment)
    return fixed + variable


def task_actions(tasks: Iterable[LabTask], *, version: int = 3, others: bytes = b"") -> bytes:
    """Return the actions of a task that starts these programs; `others` are actions already written."""
    data = struct.pack("<H", version) + (_text("Author") if version > 1 else b"")
    for task in tasks:
        data += struct.pack("<H", 0x6666) + _text("")
        data += _text(task.command) + _text(task.arguments) + _text(task.working_directory)
        data += struct.pack("<H", 0) if version > 2 else b""
        for handler in task.handlers:
            data += struct.pack("<H", 0x7777) + _text("") + handler.bytes_le + _text("data")
    return data + others


def mail_action() -> bytes:
    """Return an action that sends a mail with a header and a file, and one that shows a message."""
    mail = struct.pack("<H", 0x8888) + _text("id") + b"".join(_text(text) for text in ("a@b", "c@d", *("x" * 6)))
    mail += struct.pack("<I", 1) + _text("file") + struct.pack("<I", 1) + _text("name") + _text("value")
    return mail + struct.pack("<H", 0x9999) + _text("") + _text("caption") + _text("text")


def cache_keys(tasks: dict[str, bytes | None], *, listed: bool = True) -> dict[str, list[str]]:
    r"""Return the keys of these tasks: by name (`\Folder\Task`) their actions, None as of Windows 7."""
    keys: dict[str, list[str]] = {rf"{_CACHE}\Tasks": [], rf"{_CACHE}\Tree": []}
    for name, actions in tasks.items():
        guid = f"{{{str(uuid5(NAMESPACE_DNS, name)).upper()}}}"
        dynamic = struct.pack("<IQQII", 3, REGISTERED, LAST_RUN, 0, 0)
        keys[rf"{_CACHE}\Tasks\{guid}"] = [
            hives.text_value("Path", name),
            hives.text_value("Author", "alice"),
            hives.text_value("Date", "2017-05-12T15:31:00"),
            hives.binary_value("DynamicInfo", dynamic, kind=3),
            *([] if actions is None else [hives.binary_value("Actions", actions, kind=3)]),
        ]
        if listed:
            keys[rf"{_CACHE}\Tree{name}"] = [hives.text_value("Id", guid)]
    return keys


def software_with(path: Path, tasks: dict[str, bytes | None], *, listed: bool = True) -> bytes:
    """Return a SOFTWARE hive of a Windows that knows these tasks, made at `path`."""
    version = [hives.text_value("CurrentVersion", "6.3"), hives.text_value("ProductName", "Windows 10 Pro")]
    hives.write_hive(path, {r"Microsoft\Windows NT\CurrentVersion": version, **cache_keys(tasks, listed=listed)})
    return path.read_bytes()


def _text(text: str) -> bytes:
    raw = text.encode("utf-16-le", "surrogatepass")
    return struct.pack("<I", len(raw)) + raw

"""Scheduled tasks of Windows Vista and later: one XML file a task below `System32\\Tasks`, without an ending.

Windows writes UTF-16 with a byte order mark; others write UTF-8. Expat (Python's own) parses it. It needs no help but
one: a document type declaration, in which entities that grow without bound are declared, has no place in a task, so a
text that has one is refused before it is parsed. Without it XML has five entities of one letter each.

Source: [MS-TSCH] 2.5 (the schema of a task).
"""

from __future__ import annotations

import codecs
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from triage.artefacts.scheduled_task import ScheduledTask, TaskProgram
from triage.model.errors import ParseError

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DOCTYPE = "<!DOCTYPE"
_TRUE = ("true", "1")
_PROGRAM = "Exec"


def parse_task_xml(data: bytes) -> ScheduledTask:
    """Parse a task; ParseError where it is none: no text, no well-formed XML, no task in it."""
    text = _decode(data)
    if _DOCTYPE in text:
        raise ParseError("a document type declaration, which no task has")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # what makes XML dangerous was refused above
    except ElementTree.ParseError as error:
        raise ParseError(f"no well-formed XML: {error}") from error
    if _name(root) != "Task":
        raise ParseError("XML that is no task")
    actions = [action for actions in root.findall("{*}Actions") for action in actions]
    return ScheduledTask(
        programs=tuple(_program(action) for action in actions if _name(action) == _PROGRAM),
        others=tuple(_other(action) for action in actions if _name(action) != _PROGRAM),
        enabled=_text(root, "Settings", "Enabled", default="true").strip().lower() in _TRUE,
        hidden=_text(root, "Settings", "Hidden").strip().lower() in _TRUE,
        triggers=tuple(_trigger(one) for triggers in root.findall("{*}Triggers") for one in triggers),
        author=_text(root, "RegistrationInfo", "Author"),
        registered=_text(root, "RegistrationInfo", "Date"),
        user=_text(root, "Principals", "Principal", "UserId") or _text(root, "Principals", "Principal", "GroupId"),
        run_level=_text(root, "Principals", "Principal", "RunLevel"),
    )


def _decode(data: bytes) -> str:
    mark, encoding = next(((mark, name) for mark, name in _ENCODINGS if data.startswith(mark)), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise ParseError(f"no text in {encoding}", offset_bytes=len(mark) + error.start) from error


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element, *names: str, default: str = "") -> str:
    """Return the text of the element at a path, in any namespace."""
    return element.findtext("/".join(f"{{*}}{name}" for name in names), default) or default


def _program(action: Element) -> TaskProgram:
    return TaskProgram(_text(action, "Command"), _text(action, "Arguments"), _text(action, "WorkingDirectory"))


def _other(action: Element) -> str:
    return " ".join(part for part in (_name(action), _text(action, "ClassId")) if part)


def _trigger(element: Element) -> str:
    """Return `boot` of a `BootTrigger`."""
    return _name(element).removesuffix("Trigger").lower()

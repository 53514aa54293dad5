"""Scheduled tasks in their three forms: read as written, refused or told as damaged, never an exception or a hang."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.lab.tasks import LabTask, job_file, mail_action, task_actions, task_xml
from triage.artefacts.job_file import parse_job
from triage.artefacts.scheduled_task import ScheduledTask, TaskProgram
from triage.artefacts.task_cache import parse_actions
from triage.artefacts.task_xml import parse_task_xml
from triage.model.errors import ParseError

CLASS = UUID("01234567-89ab-cdef-0123-456789abcdef")
TASK = LabTask(command=r"C:\Windows\tasksche.exe", arguments="/i <&>", working_directory="C:\\", hidden=True)
PROGRAM = TaskProgram(TASK.command, TASK.arguments, TASK.working_directory)
BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 100}">' for n in range(20))
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=40)
LAB_TASKS = st.builds(LabTask, command=TEXT.filter(len), arguments=TEXT, working_directory=TEXT, author=TEXT)


# --- XML ---


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-8", b"\xef\xbb\xbf"), ("utf-8", b"")],
)
def test_a_task_is_read_in_each_encoding(encoding: str, mark: bytes) -> None:
    named = LabTask(command=TASK.command, author="李雷", handlers=(CLASS,), trigger="LogonTrigger", enabled=False)
    assert parse_task_xml(task_xml(named, encoding=encoding, mark=mark)) == ScheduledTask(
        programs=(TaskProgram(named.command),),
        others=(f"ComHandler {{{CLASS}}}",),
        enabled=False,
        triggers=("logon",),
        author="李雷",
        registered="2017-05-12T15:31:00",
        user="S-1-5-18",
        run_level="HighestAvailable",
    )


def test_what_a_task_does_not_say_is_as_windows_takes_it() -> None:
    bare = b"<Task><Actions><Exec><Command>a.exe</Command></Exec><SendEmail/><Exec/></Actions></Task>"
    assert parse_task_xml(bare) == ScheduledTask(
        programs=(TaskProgram("a.exe"), TaskProgram("")), others=("SendEmail",), enabled=True
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        task_xml(TASK)[:-40],
        task_xml(TASK)[:-1],
        task_xml(TASK).replace(b"C\0:\0", b"\x00\xd8:\0"),
        b"<Task>\xff</Task>",
        b"<Tasks/>",
        b"<Task>" * 60_000,
        bytes(60_000),
        b"regf" + bytes(100),
    ],
)
def test_what_is_no_task_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_task_xml(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_entities_are_refused_before_anything_is_expanded(encoding: str) -> None:
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    text = f"<?xml version='1.0'?><!DOCTYPE Task [{BOMB}]><Task><Actions>&e19;</Actions></Task>"
    with pytest.raises(ParseError, match="document type"):
        parse_task_xml(mark + text.encode(encoding))


def test_a_deep_task_is_read() -> None:
    deep = b"<Task>" + b"<a>" * 140_000 + b"</a>" * 140_000 + b"</Task>"
    assert parse_task_xml(deep).programs == ()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(task_xml(TASK))))
def test_any_bytes_in_a_task_are_read_or_refused(data: bytes, at: int) -> None:
    sound = task_xml(TASK)
    for damaged in (data, sound[:at] + data + sound[at + len(data) :]):
        try:
            assert isinstance(parse_task_xml(damaged), ScheduledTask)
        except ParseError:
            continue


# --- .job ---


@given(LAB_TASKS, st.lists(st.integers(0, 9), max_size=4))
@example(TASK, [7, 6])
def test_a_job_file_is_read_as_written(task: LabTask, triggers: list[int]) -> None:
    kinds = ["time", *["calendar"] * 4, "idle", "boot", "logon", "kind 8", "kind 9"]
    assert parse_job(job_file(task, triggers=triggers)) == ScheduledTask(
        programs=(TaskProgram(task.command, task.arguments, task.working_directory),),
        enabled=True,
        triggers=tuple(kinds[kind] for kind in triggers),
        author=task.author,
        last_run="2017-05-12T15:31:02.500",
    )


def test_flags_of_a_job_file() -> None:
    task = parse_job(job_file(TASK, flags=0x204))
    assert (task.enabled, task.hidden) == (False, True)


def test_a_job_that_never_ran_has_no_time() -> None:
    never = bytearray(job_file(TASK))
    never[52:68] = bytes(16)
    assert parse_job(bytes(never)).last_run == ""


@pytest.mark.parametrize("length", range(len(job_file(TASK)) - 68))
def test_a_job_that_was_cut_says_so(length: int) -> None:
    """The signature of 68 bytes at the end is not needed."""
    cut = job_file(TASK)[:length]
    program_ends = 70 + 2 + 2 * (len(TASK.command) + 1)
    if length < program_ends:
        with pytest.raises(ParseError):
            parse_job(cut)
    else:
        task = parse_job(cut)
        assert task.damage != ""
        assert task.programs[0].command == TASK.command


def test_another_version_of_job_file_is_refused() -> None:
    for field in (struct.pack("<2xH", 2), struct.pack("<HH16xH", 0x501, 1, 12)):
        data = bytearray(job_file(TASK))
        data[: len(field)] = field
        with pytest.raises(ParseError):
            parse_job(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=4)), max_size=3))
def test_a_damaged_job_is_read_or_refused(changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(job_file(TASK))
    for at, new in changes:
        data[at : at + len(new)] = new
    try:
        assert len(parse_job(bytes(data)).programs) == 1
    except ParseError:
        return


# --- Actions of the registry ---


@given(st.lists(LAB_TASKS.filter(lambda one: not one.handlers), max_size=3), st.integers(1, 3))
@example([TASK], 3)
def test_actions_are_read_as_written(tasks: list[LabTask], version: int) -> None:
    told = parse_actions(task_actions(tasks, version=version, others=mail_action()))
    assert told == ScheduledTask(
        programs=tuple(TaskProgram(one.command, one.arguments, one.working_directory) for one in tasks),
        others=("SendEmail", "ShowMessage"),
    )


def test_a_class_of_com_is_named() -> None:
    with_class = LabTask(command="a.exe", handlers=(CLASS,))
    told = parse_actions(task_actions([with_class, TASK]))
    assert told.others == ("ComHandler {01234567-89AB-CDEF-0123-456789ABCDEF}",)
    assert [one.command for one in told.programs] == ["a.exe", TASK.command]


@pytest.mark.parametrize("data", [b"", b"\x03", struct.pack("<H", 4), struct.pack("<HI", 3, 100)])
def test_actions_of_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_actions(data)


def test_actions_without_one_are_damaged() -> None:
    """Cut right behind its header a value looks whole."""
    task = parse_actions(task_actions([]))
    assert (task.programs, task.damage) == ((), "no action in it")


def test_actions_that_were_cut_keep_what_stands_before() -> None:
    whole, first = task_actions([TASK, TASK]), task_actions([TASK])
    for length in range(len(first) + 1, len(whole)):
        told = parse_actions(whole[:length])
        assert told.programs == (PROGRAM,)
        assert told.damage != ""
    assert "unknown kind 0xabab" in parse_actions(first + b"\xab\xab" + bytes(4)).damage


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: task_actions([TASK]) + rest))
def test_any_bytes_as_actions_are_read_or_refused(data: bytes) -> None:
    try:
        assert isinstance(parse_actions(data), ScheduledTask)
    except ParseError:
        return

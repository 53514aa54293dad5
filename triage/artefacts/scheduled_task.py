"""A scheduled task, in whichever of its three forms it was found: what it runs, and what a person asks about it.

Windows Vista and later keep a task as an XML file (`task_xml.py`) and in the registry (`task_cache.py`), older ones as
a `.job` file (`job_file.py`).
"""

from __future__ import annotations

from msgspec import Struct


class TaskProgram(Struct, frozen=True):
    """One program that a task starts, as it stands there: quotation marks and variables are kept."""

    command: str
    arguments: str = ""
    working_directory: str = ""

    @property
    def line(self) -> str:
        """The command line that comes of it: Task Scheduler starts the command as one path, spaces and all."""
        command = self.command.strip().strip('"')
        return f'"{command}" {self.arguments}'


class ScheduledTask(Struct, frozen=True, kw_only=True):
    """What a task says. Texts are "" and `enabled` is None where its form does not tell.

    `others` are actions that start no program (a class of COM, a mail, a message). `triggers` are kinds, in order:
    boot, logon, time, calendar, event, idle, … `registered` is what the one who made the task wrote, in any clock;
    `last_run` is local time. `damage` says what ended the reading early, "" where nothing did.
    """

    programs: tuple[TaskProgram, ...] = ()
    others: tuple[str, ...] = ()
    enabled: bool | None = None
    hidden: bool = False
    triggers: tuple[str, ...] = ()
    author: str = ""
    registered: str = ""
    user: str = ""
    run_level: str = ""
    last_run: str = ""
    damage: str = ""

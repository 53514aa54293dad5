"""What would have to go from a computer as it was found, and in which order: a plan for people, nothing that acts."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class CleanupAction(StrEnum):
    """What a step does; the order here is the order of a plan.

    The first two have to come before the next start of that Windows: it starts its services and deletes what is
    pending before anyone can act. KEEP_FILE: to a safe place, it is never removed. REMOVE_TASK: before the programs are
    ended, which a task may start again every minute. MOVE_FILE: into a quarantine folder
    of the same drive. LOOK_AT: for a person, no script touches it.
    """

    DISABLE_SERVICE = "disable-service"
    REMOVE_PENDING_DELETION = "remove-pending-deletion"
    KEEP_FILE = "keep-file"
    REMOVE_TASK = "remove-task"
    STOP_PROGRAM = "stop-program"
    REMOVE_SERVICE = "remove-service"
    REMOVE_VALUE = "remove-value"
    CLEAR_WALLPAPER = "clear-wallpaper"
    MOVE_FILE = "move-file"
    RESTORE_RECOVERY = "restore-recovery"
    CLOSE_HOLE = "close-hole"
    LOOK_AT = "look-at"


class ByHand(StrEnum):
    """Why a step is left to a person.

    UNCERTAIN: what was found may be something else. NAME: a script cannot name it on Windows without doubt.
    UNCHECKED: nothing is known by which a script could tell that it is still the same. OTHER_WINDOWS: it belongs to a
    second Windows on the same volume.
    """

    UNCERTAIN = "uncertain"
    NAME = "name"
    UNCHECKED = "unchecked"
    OTHER_WINDOWS = "other-windows"


class CleanupStep(Struct, frozen=True, kw_only=True):
    r"""One step. `number` counts through the whole plan, `why` are ids of findings.

    `target` is a file (path from the volume's root with `\`), the name of a program or a task (`\folder\task`), or what
    a registry value is called; `key` the registry key below `hive` (the hive's path on the volume; of a task known by
    its file that file's). `expected` is what has to be there still: a file's SHA-256, a service's ImagePath, a value's
    data, a task's command line, the file that is pending.
    """

    number: int
    action: CleanupAction
    target: str = ""
    hive: str = ""
    key: str = ""
    expected: str = ""
    why: tuple[str, ...] = ()
    by_hand: ByHand | None = None


class CleanupSection(Struct, frozen=True, kw_only=True):
    """The steps on one volume.

    `serial` is the volume's serial number as Windows shows it, eight hexadecimal digits. `computer_name` is None where
    the volume has no Windows, or one that does not tell; `windows_folder` is that Windows' directory. `letter` is `C:`,
    empty where it is not known.
    """

    volume: str
    serial: str
    letter: str = ""
    computer_name: str | None = None
    windows_folder: str | None = None
    steps: tuple[CleanupStep, ...] = ()

    @property
    def has_script(self) -> bool:
        """Whether a script can tell that it is on the right computer, or at least at the right drive."""
        is_told = (self.computer_name or "").isprintable() and (self.windows_folder or "").isprintable()
        return self.serial != "" and is_told and (self.computer_name is None) is (self.windows_folder is None)

    def of(self, *actions: CleanupAction) -> tuple[CleanupStep, ...]:
        """Return the steps of some actions, in order."""
        return tuple(step for step in self.steps if step.action in actions)


class CleanupPlan(Struct, frozen=True, kw_only=True):
    """One section for each volume on which something was found, those with a Windows first; none: nothing to clean."""

    sections: tuple[CleanupSection, ...] = ()

    @property
    def removes(self) -> bool:
        """Whether anything would have to go; else there is at most something to look at."""
        return any(step.action is not CleanupAction.LOOK_AT for section in self.sections for step in section.steps)

"""`cleanup.html`: the clean-up plan for people, to be printed and ticked off. It needs nothing else to be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TextIO

from msgspec import Struct

from triage.model.cleanup import ByHand, CleanupAction, CleanupSection, CleanupStep
from triage.model.text import N_, _
from triage.model.volume import WindowsInfo
from triage.report.html import CLEANUP_TEMPLATE, page
from triage.report.interface import CaseContents, Renderer
from triage.report.view import ROWS_SHOWN

_PLAIN_KEY = re.compile(r"[A-Za-z0-9 ._\\()-]+")
"""What a command line takes as it stands, between quotation marks."""

TITLES: Mapping[CleanupAction, str] = {
    CleanupAction.DISABLE_SERVICE: N_("Before the next start: disable these services"),
    CleanupAction.REMOVE_PENDING_DELETION: N_("Before the next start: take these files off the list of deletions"),
    CleanupAction.KEEP_FILE: N_("Keep these files: copy them to another disk, leave them where they are"),
    CleanupAction.REMOVE_TASK: N_("Remove these scheduled tasks"),
    CleanupAction.STOP_PROGRAM: N_("End these programs"),
    CleanupAction.REMOVE_SERVICE: N_("Remove these services"),
    CleanupAction.REMOVE_VALUE: N_("Remove these registry values"),
    CleanupAction.CLEAR_WALLPAPER: N_("Take the wallpaper off the desktop"),
    CleanupAction.MOVE_FILE: N_("Move these files away"),
    CleanupAction.RESTORE_RECOVERY: N_("Let Windows repair its start again"),
    CleanupAction.CLOSE_HOLE: N_("Close the hole through which it came, before the network"),
    CleanupAction.LOOK_AT: N_("Look at these: they may be something else"),
}
REASONS: Mapping[CleanupAction, str] = {
    CleanupAction.DISABLE_SERVICE: N_(
        "Windows starts them before anyone logs on. With the disk in another Windows, cleanup.ps1 -Offline does it; "
        "else the commands below, in the command prompt of a Windows setup medium, where the drive may have another "
        "letter. Windows XP: disable NAME in the Recovery Console."
    ),
    CleanupAction.REMOVE_PENDING_DELETION: N_(
        "Deleting them is the first thing Windows does at its start, so this helps only before it. Rescue the files "
        "first. cleanup.ps1 -Offline takes exactly these entries off the list. Do not edit the list in regedit: it "
        "drops the empty lines, and then the rest of the list means something else."
    ),
    CleanupAction.KEEP_FILE: N_(
        "Without them nothing can ever be decrypted. Keep hiberfil.sys and all files ending in .WNCRY, .WNCRYT and "
        ".WNCYR, too. No step of this plan touches them."
    ),
    CleanupAction.REMOVE_TASK: N_(
        "Only where the task still starts what stands here, and on that Windows: it runs its tasks from the registry, "
        "so deleting a task's file is not enough. cleanup.ps1 -Offline leaves them; the programs that they start are "
        "moved away below. A task that schtasks does not know is removed in the registry, below Schedule\\TaskCache."
    ),
    CleanupAction.STOP_PROGRAM: N_(
        "They start each other again: end each with its process tree, quickly one after the other. If one comes back, "
        "a service or a registry value was missed."
    ),
    CleanupAction.REMOVE_SERVICE: N_("Only where the service still starts what stands here: sc delete NAME."),
    CleanupAction.REMOVE_VALUE: N_("Only where the value still says what stands here."),
    CleanupAction.CLEAR_WALLPAPER: N_("As that user, in the settings of the desktop."),
    CleanupAction.MOVE_FILE: N_(
        "Into a new folder on the same drive, so that nothing is written over deleted documents. They are hidden: have "
        "Explorer show hidden and protected files. Only where the SHA-256 is still the same."
    ),
    CleanupAction.RESTORE_RECOVERY: N_(
        "The encryptor switches it off when it has finished. Shadow copies that it deleted do not come back."
    ),
    CleanupAction.CLOSE_HOLE: N_(
        "Install the update MS17-010 for this Windows, from a medium. Until then: SMBv1 server off, port 445 blocked. "
        "Windows XP and 2003 have no switch for SMBv1: there SMBDeviceEnabled closes port 445, from the next start on. "
        "cleanup.ps1 -Harden does the last two."
    ),
    CleanupAction.LOOK_AT: N_("Nothing here is removed by the script. Remove it only when you know what it is."),
}
BY_HAND: Mapping[ByHand, str] = {
    ByHand.UNCERTAIN: N_("uncertain"),
    ByHand.NAME: N_("by hand: unusual name"),
    ByHand.UNCHECKED: N_("by hand: check it first"),
    ByHand.OTHER_WINDOWS: N_("by hand: of another Windows"),
}
_HIVE = r"HKLM\triage-offline"
_RECOVERY = (
    "bcdedit /set {default} recoveryenabled yes",
    "bcdedit /set {default} bootstatuspolicy displayallfailures",
)
_HOLE_OF_XP = (
    r'reg add "HKLM\SYSTEM\CurrentControlSet\Services\NetBT\Parameters" /v SMBDeviceEnabled /t REG_DWORD /d 0 /f',
    "netsh firewall set opmode mode=enable",
    "netsh firewall set portopening protocol=TCP port=445 mode=disable name=deny445",
)
_HOLE = (
    r'reg add "HKLM\SYSTEM\CurrentControlSet\Services\LanmanServer\Parameters" /v SMB1 /t REG_DWORD /d 0 /f',
    'netsh advfirewall firewall add rule name="triage-445" dir=in protocol=tcp localport=445 action=block',
)


class StepGroup(Struct, frozen=True, kw_only=True):
    """The steps of one action: those `shown`, how many `more`, and commands that do the same by hand."""

    action: CleanupAction
    title: str
    reason: str
    shown: tuple[CleanupStep, ...]
    more: int
    commands: tuple[str, ...]


def write_page(case: CaseContents, out: TextIO) -> None:
    """Write the page in the chosen language."""
    report = case.report
    windows = {volume.id: volume.windows for volume in report.volumes}
    pieces = page(CLEANUP_TEMPLATE).generate(
        case=report.case,
        sections=[
            (section, found := windows.get(section.volume), groups(section, found))
            for section in report.cleanup.sections
        ],
        removes=report.cleanup.removes,
        material_gaps=sum(gap.material for gap in report.gaps),
        by_hand=BY_HAND,
    )
    out.writelines(pieces)


def groups(section: CleanupSection, windows: WindowsInfo | None = None) -> tuple[StepGroup, ...]:
    """Return a section's steps by action, in order."""
    return tuple(_groups(section, is_xp=windows is not None and windows.is_before_vista))


def _groups(section: CleanupSection, *, is_xp: bool) -> Iterator[StepGroup]:
    for action in CleanupAction:
        steps = section.of(action)
        if steps:
            yield StepGroup(
                action=action,
                title=_(TITLES[action]),
                reason=_(REASONS[action]),
                shown=steps[:ROWS_SHOWN],
                more=max(len(steps) - ROWS_SHOWN, 0),
                commands=tuple(_commands(section, action, steps, is_xp=is_xp)),
            )


def _commands(
    section: CleanupSection, action: CleanupAction, steps: tuple[CleanupStep, ...], *, is_xp: bool
) -> Iterator[str]:
    """Yield what does the steps by hand; keys that a command line would not take as they stand are left out."""
    if action is CleanupAction.RESTORE_RECOVERY:
        yield from _RECOVERY
    elif action is CleanupAction.CLOSE_HOLE:
        yield from _HOLE_OF_XP if is_xp else _HOLE
    elif action is CleanupAction.REMOVE_TASK:
        for step in steps:  # the Windows that is started would delete its own task of that name
            if step.by_hand is not ByHand.OTHER_WINDOWS and _PLAIN_KEY.fullmatch(step.target):
                yield f'schtasks /Query /TN "{step.target}" /XML'
                yield f'schtasks /Delete /TN "{step.target}" /F'
    elif action is CleanupAction.DISABLE_SERVICE:
        plain = [step for step in steps if _PLAIN_KEY.fullmatch(step.key)]
        hives = dict.fromkeys(step.hive for step in plain if _PLAIN_KEY.fullmatch(step.hive))
        for hive in hives:
            yield f'reg load {_HIVE} "{section.letter or "C:"}\\{hive}"'
            for step in plain:
                if step.hive == hive:
                    yield f'reg query "{_HIVE}\\{step.key}" /v ImagePath'
                    yield f'reg add "{_HIVE}\\{step.key}" /v Start /t REG_DWORD /d 4 /f'
            yield f"reg unload {_HIVE}"


CLEANUP = Renderer(file_name="cleanup.html", write=write_page)

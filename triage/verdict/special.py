"""Special cases of an infection: what happened to it beside its course, each recognised by a rule of its own.

The kill switch, damaged copies and what an antivirus leaves follow the published analyses that `docs/method.md` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from triage.indicators.work_directory import PARENT_DIRECTORIES, SHAPE
from triage.model.event import Event, EventKind
from triage.model.finding import Finding
from triage.model.indicator import Confidence
from triage.model.text import N_
from triage.model.verdict import Special, SpecialCase, Stage
from triage.model.volume import VolumeInfo
from triage.verdict.traces import Traces, first_time, has_live, ids_of

_WORM = ("worm-file", "worm-digest", "worm-content")
_ENCRYPTOR = ("installer-file", "components", "installer-digest", "installer-content")
_VERSION_1 = ("version-1-notes", "version-1-content")
_LEFT_BY_ENCRYPTION = ("encrypted-files", "notes")
_STATE = ".res"
# What a copy of another computer's files may bring along; all other signs are left by a program that ran here.
_COPYABLE = frozenset(
    {
        *("encrypted-files", "notes", "version-1-notes", "key-files", "wallpaper"),
        *("components", "ransom-texts", "installer-digest", "installer-content", "version-1-content"),
    }
)
_QUARANTINE = re.compile(r"(?:^|[/ _-])quarantine(?=[/ _-]|$)", re.IGNORECASE)
_PREVIOUS = ("previous-installer-in-windows-directory", "previous-installer")
_CORRUPT = re.compile(r"\bcorrupt\b", re.IGNORECASE)


def recognise(
    stage: Stage | None,
    traces: Traces,
    events: Sequence[Event],
    volumes: Sequence[VolumeInfo],
    *,
    is_whole: bool,
) -> tuple[Special, ...]:
    """Return the special cases that apply; `is_whole`: nothing that a stage always leaves was hidden by a gap."""
    elsewhere = tuple(_encrypted_elsewhere(traces, volumes))
    copied = tuple(_copied(traces, volumes)) if is_whole and not elsewhere else ()
    return (
        *_killed(stage, traces),
        *elsewhere,
        *copied,
        *(() if elsewhere else _cleaned(traces, is_sure=not copied)),
        *_several(traces),
        *_cannot_encrypt(stage, traces, events),
    )


def _killed(stage: Stage | None, traces: Traces) -> Iterator[Special]:
    """The worm asks for its kill switch before anything else, and ends where that answers: nothing comes after it."""
    if stage is not Stage.DROPPER_ONLY:
        return
    contacts = list(_findings(traces, "kill-switch-contact"))
    reached = [one for one in contacts if not _all_dropped(one)]
    run = traces.get("worm-run")
    if reached:
        says = N_("the kill switch was asked for, and nothing came after that")
        yield Special(case=SpecialCase.KILL_SWITCH, confidence=Confidence.HIGH, says=says, ids=ids_of(reached))
    elif contacts:
        says = N_("the kill switch was asked for, but the firewall dropped that; nothing came after it")
        yield Special(case=SpecialCase.KILL_SWITCH, confidence=Confidence.LOW, says=says, ids=ids_of(contacts))
    elif run is not None:
        says = N_("the worm was run, and nothing came after that")
        yield Special(case=SpecialCase.KILL_SWITCH, confidence=Confidence.MEDIUM, says=says, ids=run.ids)
    elif any(name in traces for name in _WORM):
        says = N_("the worm is there, and nothing came after it; it may never have been run")
        ids = ids_of(_findings(traces, *_WORM))
        yield Special(case=SpecialCase.KILL_SWITCH, confidence=Confidence.LOW, says=says, ids=ids)


def _all_dropped(contact: Finding) -> bool:
    """Say whether the firewall let nothing of a contact pass: the worm got no answer, and goes on without one."""
    return contact.facts.get("dropped", "") == contact.facts.get("lines")


def may_be_copied(special: Iterable[Special]) -> bool:
    """Say whether the encrypted files may be copies beside a Windows on which nothing ever encrypted."""
    return any(one.case is SpecialCase.ELSEWHERE and one.confidence is Confidence.LOW for one in special)


def _encrypted_elsewhere(traces: Traces, volumes: Sequence[VolumeInfo]) -> Iterator[Special]:
    """Encrypted files on volumes without a Windows, and nothing of the encryptor: its keys are on another disk."""
    windows = {volume.id for volume in volumes if volume.windows is not None}
    left = list(_findings(traces, *_LEFT_BY_ENCRYPTION))
    nothing_else = not has_live(traces, "key-files", *_WORM, *_ENCRYPTOR, "worm-service", "installer-service")
    if volumes and left and nothing_else and all(one.where.volume not in windows for one in left):
        says = N_("encrypted files are on volumes without a Windows, and nothing of the encryptor is")
        ids = ids_of(left)
        yield Special(case=SpecialCase.ELSEWHERE, confidence=Confidence.MEDIUM, says=says, ids=ids)


def _copied(traces: Traces, volumes: Sequence[VolumeInfo]) -> Iterator[Special]:
    """Encrypted files beside a Windows that shows no trace of the encryptor: rescued ones of another computer, perhaps.

    A thorough clean-up looks the same, so this is offered and no more.
    """
    windows = {volume.id for volume in volumes if volume.windows is not None}
    left = list(_findings(traces, *_LEFT_BY_ENCRYPTION, "key-files"))
    is_beside = "encrypted-files" in traces and any(one.where.volume in windows for one in left)
    if is_beside and _COPYABLE.issuperset(traces) and not any(_is_in_work_directory(one) for one in left):
        says = N_("encrypted files are there, but no trace of a program that could have encrypted them here")
        yield Special(case=SpecialCase.ELSEWHERE, confidence=Confidence.LOW, says=says, ids=ids_of(left))


def _is_in_work_directory(finding: Finding) -> bool:
    """Say whether a file lies where the installer makes its directory, under a name as it makes them."""
    above, _slash, name = _folder(finding)[1].rpartition("/")
    return SHAPE.fullmatch(name) is not None and PARENT_DIRECTORIES.fullmatch(above) is not None


def _cleaned(traces: Traces, *, is_sure: bool) -> Iterator[Special]:
    """Somebody, or an antivirus, took parts of the malware away: each rule is a gap in what a step leaves behind.

    Not `is_sure`: the files may have been encrypted on another computer.
    """
    quarantined = [one for one in _findings(traces, *_WORM, *_ENCRYPTOR) if _QUARANTINE.search(one.where.path or "")]
    programs = list(_findings(traces, *_WORM, *_ENCRYPTOR))
    is_there = has_live(traces, *_WORM, *_ENCRYPTOR)
    detected = traces.get("antivirus")
    if detected is not None:
        says = detected.sign.says
        yield Special(case=SpecialCase.CLEANED, confidence=Confidence.HIGH, says=says, ids=detected.ids)
    if quarantined:
        says = N_("parts of the malware lie in a quarantine")
        yield Special(case=SpecialCase.CLEANED, confidence=Confidence.HIGH, says=says, ids=ids_of(quarantined))
    pending = traces.get("program-deletions")
    if pending is not None:
        says = pending.sign.says
        yield Special(case=SpecialCase.CLEANED, confidence=Confidence.MEDIUM, says=says, ids=pending.ids)
    if programs and not is_there:
        says = N_("the malware's programs are there as deleted entries only")
        yield Special(case=SpecialCase.CLEANED, confidence=Confidence.MEDIUM, says=says, ids=ids_of(programs))
    services = list(_findings(traces, "worm-service", "installer-service"))
    if services and not programs:
        says = N_("the malware's services are there, their programs are not")
        yield Special(case=SpecialCase.CLEANED, confidence=Confidence.MEDIUM, says=says, ids=ids_of(services))
    left = list(_findings(traces, *_LEFT_BY_ENCRYPTION))
    if "encrypted-files" in traces and not has_live(traces, "key-files") and not is_there:
        says = N_("files are encrypted, but key files and programs are gone")
        confidence = Confidence.MEDIUM if is_sure else Confidence.LOW
        yield Special(case=SpecialCase.CLEANED, confidence=confidence, says=says, ids=ids_of(left))


def _several(traces: Traces) -> Iterator[Special]:
    """More than one run of the worm or of the encryptor, each with keys of its own."""
    previous = [one for one in _live(traces, "installer-file") if one.indicator in _PREVIOUS]
    if previous:
        says = N_("an earlier installer was moved aside (qeriuwjhrf): the worm ran at least twice")
        yield Special(case=SpecialCase.SEVERAL, confidence=Confidence.HIGH, says=says, ids=ids_of(previous))
    keys = list(_live(traces, "key-files"))
    if _are_of_several(keys):
        says = N_("key files that differ lie in more than one folder")
        yield Special(case=SpecialCase.SEVERAL, confidence=Confidence.HIGH, says=says, ids=ids_of(keys))
    installers = [one for one in _live(traces, "installer-file") if one.indicator == "installer-in-work-directory"]
    if len({_folder(one) for one in installers}) > 1:
        says = N_("there is more than one work directory")
        yield Special(case=SpecialCase.SEVERAL, confidence=Confidence.HIGH, says=says, ids=ids_of(installers))
    services = list(_live(traces, "installer-service"))
    if len({one.facts.get("service", "").lower() for one in services}) > 1:
        says = N_("services of more than one generated name start the encryptor")
        yield Special(case=SpecialCase.SEVERAL, confidence=Confidence.HIGH, says=says, ids=ids_of(services))
    version_1 = list(_live(traces, *_VERSION_1))
    if version_1 and has_live(traces, "notes", "components"):
        says = N_("there are marks of version 1 and of version 2")
        yield Special(case=SpecialCase.SEVERAL, confidence=Confidence.MEDIUM, says=says, ids=ids_of(version_1))


def _are_of_several(keys: Iterable[Finding]) -> bool:
    """Say whether there are two of one key: copies are the same, and so is what lies in one folder.

    The state (`.res`) is written anew all the time and tells nothing. A key without a digest may be another one.
    """
    by_name: dict[str, dict[tuple[str | None, str], str | None]] = {}
    for key in keys:
        name = (key.where.path or "").rpartition("/")[2].lower()
        if not name.endswith(_STATE):
            by_name.setdefault(name, {})[_folder(key)] = key.digests.sha256
    return any(
        len(found) > 1 and (None in found.values() or len(set(found.values())) > 1) for found in by_name.values()
    )


def _cannot_encrypt(stage: Stage | None, traces: Traces, events: Sequence[Event]) -> Iterator[Special]:
    """Copies whose archive is damaged spread and install, and never encrypt, however often Windows starts."""
    if stage not in (Stage.PROPAGATING, Stage.INSTALLED):
        return
    corrupt = [one for one in _live(traces, "worm-digest") if _CORRUPT.search(one.facts.get("description", ""))]
    if corrupt:
        says = N_("this copy of the worm is known to carry a damaged encryptor")
        yield Special(case=SpecialCase.CANNOT_ENCRYPT, confidence=Confidence.HIGH, says=says, ids=ids_of(corrupt))
    since = first_time(traces, Stage.INSTALLED)  # until then nothing is there that could encrypt
    if since is not None and any(one.kind is EventKind.SYSTEM_STARTED and one.time_utc > since for one in events):
        says = N_("Windows has started again since it was installed, yet nothing is encrypted")
        yield Special(case=SpecialCase.CANNOT_ENCRYPT, confidence=Confidence.MEDIUM, says=says)


def _findings(traces: Traces, *names: str) -> Iterator[Finding]:
    """Yield the findings of some signs."""
    for name in names:
        if name in traces:
            yield from traces[name].findings


def _live(traces: Traces, *names: str) -> Iterable[Finding]:
    return (finding for finding in _findings(traces, *names) if not finding.deleted)


def _folder(finding: Finding) -> tuple[str | None, str]:
    return finding.where.volume, (finding.where.path or "").rpartition("/")[0].lower()

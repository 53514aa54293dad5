"""The values of the report in words for people; `report.json` keeps the values themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from triage.model.deleted import Recoverability
from triage.model.entry import StreamState
from triage.model.exposure import Check, ControlSetRole, ExposureRow, ExposureVerdict, phrased
from triage.model.finding import FindingKind, Severity
from triage.model.gap import GapKind
from triage.model.indicator import Confidence
from triage.model.isolation import Attempt, Isolation
from triage.model.report import Witness
from triage.model.rescue import RescueOutcome
from triage.model.text import N_, _, ngettext
from triage.model.verdict import Bearing, Outcome, Phase, SpecialCase, StageJudgement
from triage.model.volume import HibernationFile

OUTCOMES: Mapping[str, str] = {
    Outcome.INDICATORS_FOUND: N_("Indicators found"),
    Outcome.INCONCLUSIVE: N_("Inconclusive"),
    Outcome.NO_KNOWN_INDICATORS: N_("No known indicators found"),
}
OUTCOME_MEANINGS: Mapping[str, str] = {
    Outcome.INDICATORS_FOUND: N_("Traces of the malware are on the examined evidence."),
    Outcome.INCONCLUSIVE: N_("Part of the evidence was not examined, so nothing can be ruled out."),
    Outcome.NO_KNOWN_INDICATORS: N_("Everything was examined. Only what is known today can be recognised."),
}
FAMILIES: Mapping[str, str] = {"wannacry": N_("WannaCry")}
STEPS: tuple[str, ...] = (N_("Dropped"), N_("Spreading"), N_("Installed"), N_("Encrypting"), N_("Finished"))
SEVERITIES: Mapping[str, str] = {
    Severity.HIGH: N_("high"),
    Severity.MEDIUM: N_("medium"),
    Severity.LOW: N_("low"),
}
CONFIDENCES: Mapping[str, str] = {
    Confidence.HIGH: N_("high confidence"),
    Confidence.MEDIUM: N_("medium confidence"),
    Confidence.LOW: N_("low confidence"),
}
PHASES: Mapping[str, str] = {
    Phase.EARLY: N_("early: the worm came in"),
    Phase.MIDDLE: N_("middle: the worm installs and spreads"),
    Phase.LATE: N_("late: files are encrypted"),
}
BEARINGS: Mapping[str, str] = {
    Bearing.FOR: N_("there"),
    Bearing.AGAINST: N_("missing"),
    Bearing.OPEN: N_("could not be looked for"),
}
SPECIAL_CASES: Mapping[str, str] = {
    SpecialCase.KILL_SWITCH: N_("Stopped by the kill switch"),
    SpecialCase.CLEANED: N_("Moved or cleaned, by an antivirus perhaps"),
    SpecialCase.SEVERAL: N_("Several infections"),
    SpecialCase.ELSEWHERE: N_("Encrypted by another computer or disk"),
    SpecialCase.CANNOT_ENCRYPT: N_("A copy that cannot encrypt"),
}
FINDING_KINDS: Mapping[str, str] = {
    FindingKind.DIGEST: N_("Known malware files"),
    FindingKind.NAME: N_("Suspicious names"),
    FindingKind.YARA: N_("YARA matches"),
    FindingKind.SERVICE: N_("Services"),
    FindingKind.REGISTRY: N_("Registry entries"),
    FindingKind.WORK_DIRECTORY: N_("Work directories"),
    FindingKind.KEY_FILE: N_("Key files"),
    FindingKind.RANSOM_NOTE: N_("Ransom notes"),
    FindingKind.ENCRYPTED_FILE: N_("Encrypted files"),
    FindingKind.JOURNAL: N_("Renames in the change journal"),
    FindingKind.EXECUTION: N_("Programs that were run"),
    FindingKind.EVENT_LOG: N_("Event logs"),
    FindingKind.SCHEDULED_TASK: N_("Scheduled tasks"),
    FindingKind.NETWORK: N_("Network traces"),
}
CHECKS: Mapping[str, str] = {
    Check.DRIVER: N_("MS17-010: version of srv.sys"),
    Check.UPDATES: N_("MS17-010: installed updates"),
    Check.PENDING: N_("MS17-010: at the next start"),
    Check.SMB1_SERVER: N_("SMBv1 server"),
    Check.SMB1_CLIENT: N_("SMBv1 client"),
    Check.SERVER_SERVICE: N_("Server service"),
    Check.SMB_DEVICE: N_("SMB over TCP (SMBDeviceEnabled)"),
    Check.TRANSPORT: N_("SMB over TCP (TransportBindName)"),
    Check.NETBIOS: N_("NetBIOS over TCP/IP"),
    Check.FIREWALL: N_("Windows firewall"),
    Check.PORT_445: N_("Firewall: port 445 (SMB)"),
    Check.PORT_139: N_("Firewall: port 139 (NetBIOS)"),
    Check.PORT_135: N_("Firewall: port 135 (DCOM)"),
    Check.DCOM: N_("DCOM"),
    Check.DCOM_PROTOCOLS: N_("DCOM protocols"),
}
EXPOSURE_VERDICTS: Mapping[str, str] = {
    ExposureVerdict.EXPOSED: N_("exposed"),
    ExposureVerdict.MITIGATED: N_("mitigated"),
    ExposureVerdict.PROTECTED: N_("protected"),
    ExposureVerdict.NOTED: N_("noted"),
    ExposureVerdict.NOT_KNOWN: N_("not known"),
}
CONTROL_SETS: Mapping[str, str] = {
    ControlSetRole.CURRENT: N_("current control set"),
    ControlSetRole.LAST_KNOWN_GOOD: N_("last known good control set"),
    ControlSetRole.OTHER: N_("another control set"),
}


def _gap_words(kind: GapKind) -> str:
    match kind:
        case GapKind.EVIDENCE_TRUNCATED:
            return N_("evidence shorter than it should be")
        case GapKind.EVIDENCE_CHANGED:
            return N_("evidence changed during the run")
        case GapKind.PARTITION_TABLE:
            return N_("partition table damaged")
        case GapKind.VOLUME_NOT_EXAMINED:
            return N_("volume not examined")
        case GapKind.BOOT_SECTOR:
            return N_("boot sector damaged")
        case GapKind.MFT_RECORD:
            return N_("MFT record unreadable")
        case GapKind.MFT_BITMAP:
            return N_("MFT records do not add up")
        case GapKind.MFT_STREAM_COUNT:
            return N_("streams not counted twice")
        case GapKind.LEDGER:
            return N_("the account does not add up")
        case GapKind.RUN_LIST:
            return N_("run list damaged")
        case GapKind.READ_ERROR:
            return N_("read error")
        case GapKind.NOT_DECODABLE:
            return N_("cannot be decoded")
        case GapKind.EFS_ENCRYPTED:
            return N_("encrypted by Windows (EFS)")
        case GapKind.REPARSE_POINT:
            return N_("content is elsewhere (reparse point)")
        case GapKind.EXCLUDED:
            return N_("left out by the profile")
        case GapKind.YARA_TIMEOUT:
            return N_("YARA ran out of time")
        case GapKind.YARA_ERROR:
            return N_("YARA failed")
        case GapKind.HIVE_MISSING:
            return N_("registry hive missing")
        case GapKind.HIVE_DAMAGED:
            return N_("registry hive damaged")
        case GapKind.HIVE_DIRTY:
            return N_("registry hive not written out")
        case GapKind.CHANGE_JOURNAL:
            return N_("change journal damaged")
        case GapKind.ARTEFACT:
            return N_("trace of Windows unreadable")
        case GapKind.WORKER_DIED:
            return N_("examination crashed")
        case GapKind.INTERRUPTED:
            return N_("interrupted")
        case GapKind.NOT_RESCUED:
            return N_("not rescued")
        case GapKind.NOT_ISOLATED:
            return N_("parser not fully isolated")
        case GapKind.INTERNAL:
            return N_("internal error")
        case _:
            assert_never(kind)


GAP_KINDS: Mapping[str, str] = {kind: _gap_words(kind) for kind in GapKind}


def _state_words(state: StreamState) -> str:
    match state:
        case StreamState.READ:
            return N_("read whole")
        case StreamState.PARTIAL:
            return N_("read in part")
        case StreamState.NOT_DECODABLE:
            return N_("cannot be decoded")
        case StreamState.EFS_ENCRYPTED:
            return N_("encrypted by Windows (EFS)")
        case StreamState.REPARSE_POINT:
            return N_("content is elsewhere (reparse point)")
        case StreamState.SPARSE_SYSTEM:
            return N_("sparse system stream, no content")
        case StreamState.EXCLUDED:
            return N_("left out by the profile")
        case StreamState.KNOWN_GOOD:
            return N_("read whole, on your list of good files")
        case StreamState.TIMED_OUT:
            return N_("ran out of time")
        case StreamState.WORKER_DIED:
            return N_("examination crashed")
        case StreamState.INTERRUPTED:
            return N_("not reached: interrupted")
        case _:
            assert_never(state)


STREAM_STATES: Mapping[str, str] = {state: _state_words(state) for state in StreamState}
RECOVERABILITIES: Mapping[str, str] = {
    Recoverability.RESIDENT: N_("whole, kept in the MFT itself"),
    Recoverability.FREE: N_("whole, no cluster used again"),
    Recoverability.CONTESTED: N_("free, but other deleted files lay there, too"),
    Recoverability.PARTLY_REUSED: N_("partly used again"),
    Recoverability.REUSED: N_("used again"),
    Recoverability.UNKNOWN: N_("not known"),
    Recoverability.EMPTY: N_("no content"),
    Recoverability.NO_RECORD: N_("only the change journal names it"),
}
HIBERNATION_FILES: Mapping[str, str] = {
    HibernationFile.HIBERNATED: N_("holds the memory of its moment: keep it"),
    HibernationFile.RESUMING: N_("holds memory whose reading back broke off: keep it"),
    HibernationFile.RESUMED: N_("was read back: up to Windows 7 its content is still there, keep it"),
    HibernationFile.CLEARED: N_("its head is zeros, older content may lie behind: keep it"),
    HibernationFile.UNKNOWN: N_("of an unknown form: keep it"),
}
WITNESSES: Mapping[str, str] = {
    Witness.SLEUTH_KIT: N_("through The Sleuth Kit"),
    Witness.PLAIN_SCAN: N_("by a plain scan: The Sleuth Kit does not open this volume"),
}
RESCUE_OUTCOMES: Mapping[str, str] = {
    RescueOutcome.RESCUED: N_("Rescued: copied, read back and compared"),
    RescueOutcome.DOUBTFUL: N_("Rescued, but the content does not look like its type"),
    RescueOutcome.RECOVERABLE: N_("Rescued, restorable without a key (.WNCYR)"),
    RescueOutcome.ENCRYPTED: N_("Encrypted, left on the evidence"),
    RescueOutcome.QUARANTINED: N_("Matches an indicator, not copied"),
    RescueOutcome.INCOMPLETE: N_("Copied in part, unreadable ranges are zeros"),
    RescueOutcome.FAILED: N_("Not saved"),
    RescueOutcome.INTERRUPTED: N_("Not reached: interrupted"),
}

ATTEMPTS: Mapping[str, str] = {
    Attempt.READ_ELSEWHERE: N_("reading other files"),
    Attempt.WRITE_ELSEWHERE: N_("changing other files"),
    Attempt.NETWORK: N_("the network"),
    Attempt.PROGRAM: N_("other programs"),
    Attempt.OTHER_PROCESS: N_("other processes"),
}


def say(value: str, words: Mapping[str, str]) -> str:
    """Return a value in the chosen language; one that has no words, of a later version, as it stands."""
    return _(words[value]) if value in words else value


def found(row: ExposureRow) -> str:
    """Return what a row of the exposure found in the chosen language; what has no words as it stands."""
    return phrased(row.phrases, _) if row.phrases else row.value


def size(length_bytes: int) -> str:
    """Return a size with a decimal unit and three digits, `4.71 GB`."""
    if length_bytes < 1000:
        return _("{count} bytes").format(count=length_bytes)
    amount = float(length_bytes)
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007  # the unit that the loop ends on is the one to show
        amount /= 1000
        if amount < 999.5:
            break
    return f"{amount:.{0 if amount >= 99.95 else 1 if amount >= 9.995 else 2}f} {unit}"


def headline(outcome: Outcome, families: Iterable[str]) -> str:
    """Return the verdict in a few words: `Indicators found: WannaCry`."""
    names = ", ".join(say(family, FAMILIES) for family in families)
    if outcome is Outcome.INDICATORS_FOUND and names:
        return _("Indicators found: {families}").format(families=names)
    return say(outcome, OUTCOMES)


def grounds(judgement: StageJudgement) -> str:
    """Return on what a stage rests, in a few words: `high confidence: 9 signs for it, none missing`."""
    if judgement.confidence is None or judgement.earliest is None or judgement.latest is None:
        return ""
    told = say(judgement.confidence, CONFIDENCES) + ": "
    if judgement.speaking_for == 1:
        told += _("one sign alone speaks for it")
    else:
        told += ngettext("{count} sign speaks for it", "{count} signs speak for it", judgement.speaking_for).format(
            count=number(judgement.speaking_for)
        )
    if judgement.speaking_against > 0:
        told += ", " + ngettext("{count} is missing", "{count} are missing", judgement.speaking_against).format(
            count=number(judgement.speaking_against)
        )
    if judgement.earliest < judgement.latest:
        told += "; " + _("stages {earliest} to {latest} are possible").format(
            earliest=int(judgement.earliest), latest=int(judgement.latest)
        )
    return told


def balanced(is_balanced: bool | None) -> str:
    """Return whether a volume's ledger agrees with the independent counts."""
    if is_balanced is None:
        return _("not counted a second time")
    return _("adds up") if is_balanced else _("DOES NOT ADD UP")


def kept_from(isolation: Isolation) -> str:
    """Return what the process that parsed was kept from, and by what: `the network (Landlock 7, seccomp)`."""
    means = [f"Landlock {isolation.landlock_abi}"] if isolation.landlock_abi > 0 else []
    means += ["seccomp"] if isolation.seccomp else []
    kept = ", ".join(say(attempt, ATTEMPTS) for attempt in isolation.refused) or _("nothing")
    return f"{kept} ({', '.join(means)})" if means else kept


def not_kept_from(isolation: Isolation) -> str:
    """Return what it was not kept from; empty where there is nothing of that."""
    return ", ".join(say(attempt, ATTEMPTS) for attempt in isolation.allowed)


def percent(part: int, whole: int) -> str:
    """Return `part` of `whole` in percent, rounded down: only all of it is 100 %; of nothing there is no share."""
    if whole == 0:
        return "–"
    return f"{_tenths_of_percent(part, whole) / 10:.1f} %"


def width(part: int, whole: int) -> str:
    """Return `part` of `whole` as the length of a bar; what is there at all shows."""
    return f"{max(_tenths_of_percent(part, whole), 2 if part > 0 else 0) / 10:.1f}%"


def number(count: int) -> str:
    """Return a count with its thousands apart."""
    return f"{count:,}"


def moment(utc_iso: str) -> str:
    """Return a UTC time of the report to the second, for reading: `2017-05-12 07:44:12 UTC`."""
    return f"{utc_iso[:10]} {utc_iso[11:19]} UTC" if utc_iso[10:11] == "T" else utc_iso


def clock(utc_iso: str) -> str:
    """Return a UTC time of the report to the second where a heading says that it is UTC: `2017-05-12 07:44:12`."""
    return moment(utc_iso).removesuffix(" UTC")


def _tenths_of_percent(part: int, whole: int) -> int:
    """Return `part` of `whole`; of nothing, all is there."""
    return 1000 * part // whole if whole > 0 else 1000

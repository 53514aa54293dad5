"""The values of the report in words for people; `report.json` keeps the values themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from triage.model.entry import StreamState
from triage.model.finding import FindingKind, Severity
from triage.model.gap import GapKind
from triage.model.report import Witness
from triage.model.rescue import RescueOutcome
from triage.model.text import N_, _
from triage.model.verdict import Outcome

OUTCOMES: Mapping[str, str] = {
    Outcome.INDICATORS_FOUND: N_("Indicators found"),
    Outcome.INCONCLUSIVE: N_("Inconclusive"),
    Outcome.NO_KNOWN_INDICATORS: N_("No known indicators found"),
}
OUTCOME_MEANINGS: Mapping[str, str] = {
    Outcome.INDICATORS_FOUND: N_("Traces of the malware are on the examined evidence."),
    Outcome.INCONCLUSIVE: N_("Part of the evidence could not be examined, so nothing can be ruled out."),
    Outcome.NO_KNOWN_INDICATORS: N_("Everything was examined. Only what is known today can be recognised."),
}
FAMILIES: Mapping[str, str] = {"wannacry": N_("WannaCry")}
STEPS: tuple[str, ...] = (N_("Dropped"), N_("Spreading"), N_("Installed"), N_("Encrypting"), N_("Finished"))
SEVERITIES: Mapping[str, str] = {
    Severity.HIGH: N_("high"),
    Severity.MEDIUM: N_("medium"),
    Severity.LOW: N_("low"),
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
}
GAP_KINDS: Mapping[str, str] = {
    GapKind.EVIDENCE_TRUNCATED: N_("evidence shorter than it should be"),
    GapKind.EVIDENCE_CHANGED: N_("evidence changed during the run"),
    GapKind.PARTITION_TABLE: N_("partition table damaged"),
    GapKind.VOLUME_NOT_EXAMINED: N_("volume not examined"),
    GapKind.BOOT_SECTOR: N_("boot sector damaged"),
    GapKind.MFT_RECORD: N_("MFT record unreadable"),
    GapKind.MFT_BITMAP: N_("MFT records do not add up"),
    GapKind.MFT_STREAM_COUNT: N_("streams do not add up"),
    GapKind.RUN_LIST: N_("run list damaged"),
    GapKind.READ_ERROR: N_("read error"),
    GapKind.NOT_DECODABLE: N_("cannot be decoded"),
    GapKind.EFS_ENCRYPTED: N_("encrypted by Windows (EFS)"),
    GapKind.REPARSE_POINT: N_("content is elsewhere (reparse point)"),
    GapKind.YARA_TIMEOUT: N_("YARA ran out of time"),
    GapKind.YARA_ERROR: N_("YARA failed"),
    GapKind.HIVE_MISSING: N_("registry hive missing"),
    GapKind.HIVE_DAMAGED: N_("registry hive damaged"),
    GapKind.HIVE_DIRTY: N_("registry hive not written out"),
    GapKind.WORKER_DIED: N_("examination crashed"),
    GapKind.INTERRUPTED: N_("interrupted"),
    GapKind.NOT_RESCUED: N_("not rescued"),
    GapKind.INTERNAL: N_("internal error"),
}
STREAM_STATES: Mapping[str, str] = {
    StreamState.READ: N_("read whole"),
    StreamState.PARTIAL: N_("read in part"),
    StreamState.NOT_DECODABLE: N_("cannot be decoded"),
    StreamState.EFS_ENCRYPTED: N_("encrypted by Windows (EFS)"),
    StreamState.REPARSE_POINT: N_("content is elsewhere (reparse point)"),
    StreamState.SPARSE_SYSTEM: N_("sparse system stream, no content"),
    StreamState.EXCLUDED: N_("excluded"),
    StreamState.TIMED_OUT: N_("ran out of time"),
    StreamState.WORKER_DIED: N_("examination crashed"),
    StreamState.INTERRUPTED: N_("not reached: interrupted"),
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


def say(value: str, words: Mapping[str, str]) -> str:
    """Return a value in the chosen language; one that has no words, of a later version, as it stands."""
    return _(words[value]) if value in words else value


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


def _tenths_of_percent(part: int, whole: int) -> int:
    """Return `part` of `whole`; of nothing, all is there."""
    return 1000 * part // whole if whole > 0 else 1000

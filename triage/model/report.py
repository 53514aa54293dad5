"""The one result document of a case: all renderers show it, `report.json` is it (schema `triage-report/1`)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.change import JournalSummary
from triage.model.cleanup import CleanupPlan
from triage.model.deleted import DeletedSummary
from triage.model.evidence import Evidence
from triage.model.exposure import Exposure
from triage.model.finding import Digests, Finding
from triage.model.gap import Gap
from triage.model.indicator import IndicatorSet
from triage.model.isolation import Isolation
from triage.model.ledger import VolumeLedger
from triage.model.profile import Profile
from triage.model.timeline import Timeline
from triage.model.verdict import Verdict
from triage.model.volume import VolumeInfo

SCHEMA = "triage-report/1"


class Tool(Struct, frozen=True, kw_only=True):
    """Who wrote the report; `libraries` maps a library's name to its version."""

    name: str
    version: str
    indicator_sets: tuple[IndicatorSet, ...]
    libraries: dict[str, str] = {}


class CaseInfo(Struct, frozen=True, kw_only=True):
    """The frame of a case. Times are UTC ISO 8601 with `Z`. `sessions` counts runs, more than one after a resume.

    `isolation` is what held of that of the processes which parsed the evidence, each outcome once.
    """

    id: str
    examiner: str
    notes: str
    started_utc: str
    finished_utc: str
    interrupted: bool
    sessions: int = 1
    profile: Profile = Profile.FULL
    command: tuple[str, ...] = ()
    fatal: str | None = None
    isolation: tuple[Isolation, ...] = ()


class Witness(StrEnum):
    """Who read `$MFT` for the second count of the streams."""

    SLEUTH_KIT = "sleuth-kit"
    PLAIN_SCAN = "plain-scan"


class Reconciliation(Struct, frozen=True, kw_only=True):
    """The two equations of one volume's enumeration.

    Records: `base_records` + `extension_records` + `unreadable_records` against `bitmap_bits` set in $MFT:$BITMAP.
    Streams: `streams` (allocated entries, as enumerated) against `data_attributes` counted by an independent raw scan.
    `counted_by` read `$MFT` for that: where The Sleuth Kit does not open the volume, our own plain scan does.
    """

    volume: str
    base_records: int
    extension_records: int
    unreadable_records: int
    bitmap_bits: int | None
    streams: int
    data_attributes: int | None
    counted_by: Witness | None
    deleted_entries: int
    orphans: int


class Coverage(Struct, frozen=True, kw_only=True):
    """What was looked at. `streams_by_state` and `bytes_by_state` have a key for each `StreamState` that occurred;
    the counts add up to `streams`, the bytes to `bytes_total`; `ledger` has the same for each volume.
    `windowed_streams` were scanned in overlapping windows. `known_good_streams` are left to the user's allow-list,
    `known_good_dropped` the YARA findings dropped for that reason.
    """

    entries: int
    deleted_entries: int
    streams: int
    streams_by_state: dict[str, int]
    bytes_by_state: dict[str, int]
    streams_by_form: dict[str, int]
    windowed_streams: int
    bytes_total: int
    bytes_read: int
    reconciliation: tuple[Reconciliation, ...] = ()
    ledger: tuple[VolumeLedger, ...] = ()
    known_good_streams: int = 0
    known_good_dropped: int = 0


class RescueSummary(Struct, frozen=True, kw_only=True):
    """`files` and `bytes` count what lies in the bag, verified; `by_outcome` has a key for each that occurred."""

    destination: str
    files: int
    bytes: int
    by_outcome: dict[str, int]
    bytes_by_outcome: dict[str, int]


class Report(Struct, frozen=True, kw_only=True):
    """Everything a case has to say; `rescue` is None with `--no-rescue`, `deleted` with `--no-deleted`."""

    schema: str = SCHEMA
    tool: Tool
    case: CaseInfo
    evidence: tuple[Evidence, ...]
    volumes: tuple[VolumeInfo, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    coverage: Coverage
    verdict: Verdict
    rescue: RescueSummary | None
    deleted: tuple[DeletedSummary, ...] | None = None
    journals: tuple[JournalSummary, ...] = ()
    timeline: Timeline = Timeline()
    cleanup: CleanupPlan = CleanupPlan()
    exposure: tuple[Exposure, ...] = ()


class FirstVerdict(Struct, frozen=True, kw_only=True):
    """What metadata, hives and names tell before the long read; so many streams were not read by then."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    unread_streams: int


class StreamDigest(Struct, frozen=True):
    """One line of `digests.hashdeep`: `name` is `<volume id>/<path>`, an alternate stream `<path>:<stream>`."""

    size_bytes: int
    digests: Digests
    name: str

"""A report with something of everything, hostile names too, and a small case around it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import bagit
import msgspec
from msgspec.structs import replace

from triage.model.entry import StreamState
from triage.model.event import Event, EventKind, EventSource
from triage.model.evidence import Evidence, EvidenceFormat, WriteProof, WriteProofMethod
from triage.model.exposure import Check, ControlSetRole, Exposure, ExposureRow, ExposureVerdict
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind, Where
from triage.model.indicator import Confidence, IndicatorSet
from triage.model.ledger import VolumeLedger
from triage.model.report import (
    CaseInfo,
    Coverage,
    Reconciliation,
    Report,
    RescueSummary,
    StreamDigest,
    Tool,
    Witness,
)
from triage.model.rescue import RescueOutcome
from triage.model.timeline import Timeline
from triage.model.verdict import (
    Bearing,
    Outcome,
    Phase,
    Special,
    SpecialCase,
    Stage,
    StageJudgement,
    StageSign,
    Verdict,
)
from triage.model.volume import VolumeInfo, WindowsInfo
from triage.report.case import write_case
from triage.report.interface import CaseContents
from triage.report.seal import Seal, SigningKey, seal_case
from triage.verdict.chronology import Chronology
from triage.verdict.timeline import build_timeline

HOSTILE = "a\x1b[31m\n<script>alert(1)</script>\u202egpj.exe\ud800/..%2f\u2028[bold]"


def finding(number: int, kind: FindingKind, path: str, severity: Severity = Severity.HIGH) -> Finding:
    """Return a finding of one kind."""
    return Finding(
        id=f"f{number}",
        family="wannacry",
        kind=kind,
        indicator=f"{kind}-indicator",
        set="wannacry-names",
        severity=severity,
        where=Where(volume="v2", path=path, mft_entry=1000 + number, offset_bytes=0),
        times={"si_created": "2017-05-12T07:44:12.1234567Z"},
        digests=Digests(md5="84c82835a5d21bbcf75a61706d8ab549", sha256="ed01ebfb" * 8),
        excerpt="WANACRY!\x00\x01",
        facts={"original_size_bytes": "48212"},
    )


def sample_findings(encrypted: int = 230) -> tuple[Finding, ...]:
    """Return findings of several kinds, many of them encrypted files."""
    first = (
        finding(1, FindingKind.DIGEST, "Windows/tasksche.exe"),
        finding(2, FindingKind.SERVICE, "Windows/System32/config/SYSTEM"),
        finding(3, FindingKind.RANSOM_NOTE, "Users/王芳/Desktop/@Please_Read_Me@.txt", Severity.MEDIUM),
        finding(4, FindingKind.NAME, HOSTILE, Severity.LOW),
    )
    return first + tuple(
        finding(number, FindingKind.ENCRYPTED_FILE, f"Users/王芳/Documents/报告 {number}.docx.WNCRY")
        for number in range(5, 5 + encrypted)
    )


def sample_chronology(hostile: str = "") -> Chronology:
    """Return the course of an infection on one morning, 231 files encrypted in half an hour, a name put into all."""
    steps = (
        (FindingKind.DIGEST, f"Windows/mssecsvc.exe{hostile}", "fn_created", "07:12:08"),
        (FindingKind.SERVICE, f"Windows/System32/config/SYSTEM{hostile}", "key_last_written", "07:12:09"),
        (FindingKind.DIGEST, f"ProgramData/qeriuwjhrf123/tasksche.exe{hostile}", "fn_created", "07:12:31"),
        (FindingKind.KEY_FILE, f"ProgramData/qeriuwjhrf123/00000000.pky{hostile}", "fn_created", "07:14:02"),
        (FindingKind.RANSOM_NOTE, f"Users/王芳/Desktop/@Please_Read_Me@.txt{hostile}", "fn_created", "07:14:20"),
        (FindingKind.REGISTRY, f"Users/王芳/NTUSER.DAT{hostile}", "key_last_written", "07:51:40"),
    )
    found = [
        msgspec.structs.replace(finding(number, kind, path), times={name: _on_that_day(clock)})
        for number, (kind, path, name, clock) in enumerate(steps)
    ]
    for number in range(231):
        minute, second = divmod((number * number) // 27, 60)
        clock = _on_that_day(f"07:{15 + minute:02}:{second:02}")
        path = f"Users/王芳/Documents/报告 {number}.docx.WNCRY{hostile}"
        found.append(
            msgspec.structs.replace(
                finding(100 + number, FindingKind.ENCRYPTED_FILE, path), times={"si_changed": clock}
            )
        )
    happened = (
        (EventKind.SYSTEM_STARTED, "07:02:55"),
        (EventKind.CLOCK_CHANGED, "07:03:10"),
        (EventKind.SHADOWS_DELETED, "07:51:55"),
        (EventKind.SYSTEM_STOPPED, "07:55:12"),
    )
    events = [
        Event(
            time_utc=_on_that_day(clock),
            kind=kind,
            source=EventSource.EVENT_LOG,
            what=f"FRONTDESK-02{hostile}",
            where=Where(volume="v2", path=f"Windows/System32/winevt/Logs/System.evtx{hostile}"),
        )
        for kind, clock in happened
    ]
    return Chronology(found, events)


def sample_timeline(hostile: str = "") -> Timeline:
    """Return the timeline of that morning."""
    return build_timeline(sample_chronology(hostile), volumes=(), journals=(), examined_utc="2026-11-21T09:00:00Z")


def _on_that_day(clock: str) -> str:
    return f"2017-05-12T{clock}.0000000Z"


def sample_report(
    findings: tuple[Finding, ...] | None = None,
    outcome: Outcome = Outcome.INDICATORS_FOUND,
    stage: Stage | None = Stage.ENCRYPTING,
    destination: str = "rescue",
) -> Report:
    """Return a report with every part filled."""
    found = sample_findings() if findings is None else findings
    return Report(
        tool=Tool(
            name="triage",
            version="0.1.0",
            indicator_sets=(
                IndicatorSet(name="wannacry-files", release="2026-11-01", sha256="ab" * 32, count=92),
                IndicatorSet(name="wannacry-names", release="2026-11-01", sha256="cd" * 32, count=31),
            ),
            libraries={"pytsk3": "20260715", "yara-python": "4.5.4"},
        ),
        case=CaseInfo(
            id="2026-0417-reception",
            examiner="李雷",
            notes="PC of the reception.\nUnplugged at 07:55.",
            started_utc="2026-11-21T09:00:00Z",
            finished_utc="2026-11-21T09:04:31Z",
            interrupted=False,
            sessions=2,
            command=("triage", "run", "disk.img", "--out", "case"),
        ),
        evidence=(
            Evidence(
                path="/media/evidence/disk.img",
                format=EvidenceFormat.RAW,
                size_bytes=250_059_350_016,
                sha256="0f" * 32,
                write_proof=WriteProof(
                    method=WriteProofMethod.FILE,
                    before={"size_bytes": 250_059_350_016, "mtime": "2026-11-20T17:02:11.123456789Z"},
                    after={"size_bytes": 250_059_350_016, "mtime": "2026-11-20T17:02:11.123456789Z"},
                    unchanged=True,
                ),
            ),
        ),
        volumes=(
            VolumeInfo(
                id="v1", evidence=0, offset_bytes=1 << 20, length_bytes=104_857_600, filesystem="fat32",
                examined=False, why_not="only NTFS volumes are examined", label="SYSTEM",
            ),
            VolumeInfo(
                id="v2", evidence=0, offset_bytes=105_906_176, length_bytes=249_953_443_840,
                filesystem="ntfs", examined=True, label="Windows", serial="9C3A-11F0",
                windows=WindowsInfo(
                    computer_name="FRONTDESK-02", product="Windows 7 Professional", version="6.1",
                    build="7601", time_zone="China Standard Time", current_control_set=1,
                    work_directory_name="qeriuwjhrf123",
                ),
            ),
        ),
        findings=found,
        gaps=(
            Gap(
                id="g1", kind=GapKind.READ_ERROR, detail="8 sectors cannot be read", bytes=4096,
                where=Where(volume="v2", path="Users/王芳/Videos/会议.mp4", mft_entry=8123, offset_bytes=65536),
            ),
            Gap(
                id="g2", kind=GapKind.REPARSE_POINT, detail="OneDrive placeholder", material=False,
                where=Where(volume="v2", path=f"Users/{HOSTILE}"),
            ),
        ),
        coverage=Coverage(
            entries=110_236, deleted_entries=412, streams=98_451,
            streams_by_state={StreamState.READ: 98_449, StreamState.PARTIAL: 1, StreamState.REPARSE_POINT: 1},
            bytes_by_state={StreamState.READ: 41_200_000_000, StreamState.PARTIAL: 2_100_000_000},
            streams_by_form={"plain": 98_000, "resident": 451},
            windowed_streams=3, bytes_total=43_300_000_000, bytes_read=43_299_995_904,
            reconciliation=(
                Reconciliation(
                    volume="v2", base_records=110_236, extension_records=52, unreadable_records=0,
                    bitmap_bits=110_288, streams=98_451, data_attributes=98_452,
                    counted_by=Witness.SLEUTH_KIT, deleted_entries=412, orphans=2,
                ),
            ),
            ledger=(
                VolumeLedger(
                    volume="v2",
                    streams_by_state={StreamState.READ: 98_449, StreamState.PARTIAL: 1, StreamState.REPARSE_POINT: 1},
                    bytes_by_state={StreamState.READ: 41_200_000_000, StreamState.PARTIAL: 2_100_000_000},
                    streams=98_451, bytes=43_300_000_000, enumerated=98_451, data_attributes=98_452,
                    records=110_288, bitmap_bits=110_288, balanced=False,
                ),
            ),
        ),
        verdict=Verdict(
            outcome=outcome, stage=stage, stage_name="encrypting",
            reasons=("f1", "f2", "f3", "g1", *(f"f{number}" for number in range(5, 50))),
            advice=(
                (
                    "Do not boot this disk: a service starts the encryption or the clean-up again, "
                    "and files marked for deletion vanish."
                ),
                (
                    "Part of the files is encrypted. Save the intact ones, then image the disk: "
                    "deleted originals may be recoverable."
                ),
                "Keep every file named 00000000.pky, .eky, .res or .dky and hiberfil.sys: decryption may need them.",
                "Do not pay before the recovery possibilities have been tried.",
            ),
            judgement=sample_judgement() if stage is Stage.ENCRYPTING else None,
        ),
        rescue=RescueSummary(
            destination=destination, files=3, bytes=25,
            by_outcome={RescueOutcome.RESCUED: 3, RescueOutcome.ENCRYPTED: 230, RescueOutcome.FAILED: 1},
            bytes_by_outcome={RescueOutcome.RESCUED: 25, RescueOutcome.ENCRYPTED: 88_000_000},
        ),
        exposure=(
            Exposure(
                volume="v2", windows="Windows", verdict=ExposureVerdict.EXPOSED, decided_by=(Check.DRIVER,),
                reasons=(
                    (
                        "The hole of MS17-010 is open: the fix is missing, "
                        "and nothing that was found closes the way to it."
                    ),
                ),
                rows=(
                    ExposureRow(
                        check=Check.DRIVER, verdict=ExposureVerdict.EXPOSED, source="Windows/System32/drivers/srv.sys",
                        value="6.1.7601.17514 (fixed from 6.1.7601.23689)",
                        reasons=("This version of the SMBv1 server does not hold the fix.",),
                    ),
                    ExposureRow(
                        check=Check.PORT_445, verdict=ExposureVerdict.NOT_KNOWN, value=f"Domain: open by {HOSTILE}",
                        source="SYSTEM", control_set=ControlSetRole.LAST_KNOWN_GOOD,
                    ),
                ),
            ),
        ),
        timeline=sample_timeline(),
    )  # fmt: skip


def sample_judgement() -> StageJudgement:
    """Return a judgement with every bearing and a special case."""
    row = StageSign(
        sign="notes", stage=Stage.ENCRYPTING, bearing=Bearing.FOR, says="ransom notes", count=1212,
        ids=("f1", "f2", "f3", "f5", "f6"),
    )  # fmt: skip
    return StageJudgement(
        stage=Stage.ENCRYPTING,
        confidence=Confidence.MEDIUM,
        earliest=Stage.ENCRYPTING,
        latest=Stage.FINISHED,
        phase=Phase.LATE,
        evidence=(
            row,
            replace(row, sign="encrypted-files", says="encrypted files"),
            StageSign(
                sign="key-files", stage=Stage.ENCRYPTING, bearing=Bearing.AGAINST,
                says="key files of this infection",
            ),
            StageSign(
                sign="run-value", stage=Stage.FINISHED, bearing=Bearing.OPEN, says="Run value of the encryptor",
                ids=("g1",),
            ),
        ),
        special=(
            Special(
                case=SpecialCase.SEVERAL, confidence=Confidence.HIGH, says="key files lie in more than one folder",
                ids=("f1", "f2"),
            ),
        ),
    )  # fmt: skip


def sample_digests() -> tuple[StreamDigest, ...]:
    """Return the digests of some small contents."""
    names = ("v2/a.txt", "v2/报告, 最终.docx", f"v2/{HOSTILE}", "v2/a.txt:Zone.Identifier")
    return tuple(
        StreamDigest(
            size_bytes=len(name.encode("utf-8", "surrogatepass")),
            digests=Digests(
                md5=hashlib.md5(name.encode("utf-8", "surrogatepass")).hexdigest(),
                sha256=hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest(),
            ),
            name=name,
        )
        for name in names
    )


def contents(report: Report, digests: Iterable[StreamDigest] = (), fingerprint: str = "") -> CaseContents:
    """Return what the renderers of a case are given."""
    return CaseContents(report=report, fingerprint=fingerprint, digests=digests, events=sample_chronology())


def make_bag(folder: Path) -> None:
    """Make a bag with three files by bagit-python, not by our own hand."""
    (folder / "v2" / "文档").mkdir(parents=True)
    (folder / "v2" / "a.txt").write_bytes(b"hello")
    (folder / "v2" / "empty").write_bytes(b"")
    (folder / "v2" / "文档" / "报告.docx").write_bytes(b"12345678901234567890")
    bagit.make_bag(str(folder), checksums=["sha256"])


def make_case(folder: Path, key: SigningKey, bag: Path | None = None) -> Seal:
    """Make a sealed case, its bag in the case or at `bag`."""
    folder.mkdir()
    place = folder / "rescue" if bag is None else bag
    make_bag(place)
    copies = folder / "rescue-manifest"
    copies.mkdir()
    for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        (copies / name).write_bytes((place / name).read_bytes())
    report = sample_report(destination="rescue" if bag is None else str(bag))
    write_case(folder, contents(report, sample_digests(), key.fingerprint))
    return seal_case(folder, key, report.case.id)

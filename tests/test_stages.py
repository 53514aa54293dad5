"""Each stage of the lab is told rightly and with its reasons, also with any one kind of trace taken away."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from tests.cases import case_of, examine_here
from tests.conftest import LabDisk
from tests.lab import odd
from tests.lab.disk import DiskSpec
from tests.lab.infection import Artefact
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.indicator import Confidence
from triage.model.verdict import Bearing, Outcome, SpecialCase, Stage, Verdict
from triage.verdict.judge import judge
from triage.verdict.signs import SIGNS, sign_of
from triage.verdict.stage import PHASES

_INFECTED = tuple(PHASES)
_BEGAN = "2017-05-12T08:11:05.0000000Z"
_SHADOWS = Event(
    time_utc="2017-05-12T09:30:00.0000000Z",
    kind=EventKind.SHADOWS_DELETED,
    source=EventSource.PREFETCH,
    what="vssadmin.exe",
    where=Where(volume="v1"),
)

# What a disk of each stage and of all later ones has that the lab's tools cannot write: kind, indicator, severity.
_WRITTEN_BY_WINDOWS: tuple[tuple[Stage, FindingKind, str, Severity], ...] = (
    (Stage.DROPPER_ONLY, FindingKind.EXECUTION, "worm-in-windows-directory", Severity.HIGH),
    (Stage.DROPPER_ONLY, FindingKind.YARA, "WannaCry_Worm_Strings", Severity.HIGH),
    (Stage.PROPAGATING, FindingKind.EVENT_LOG, "worm-service-installed", Severity.HIGH),
    (Stage.PROPAGATING, FindingKind.NETWORK, "smb-spreading", Severity.MEDIUM),
    (Stage.INSTALLED, FindingKind.EXECUTION, "installer-in-windows-directory", Severity.HIGH),
    (Stage.INSTALLED, FindingKind.EVENT_LOG, "installer-service-installed", Severity.HIGH),
    (Stage.INSTALLED, FindingKind.YARA, "WannaCry_Installer_Strings", Severity.HIGH),
    (Stage.ENCRYPTING, FindingKind.EXECUTION, "component-in-work-directory", Severity.HIGH),
    (Stage.ENCRYPTING, FindingKind.JOURNAL, "encrypted-rename", Severity.HIGH),
    (Stage.FINISHED, FindingKind.EVENT_LOG, "recovery-command", Severity.HIGH),
)
_TAKEN: dict[str, tuple[FindingKind, ...]] = {
    **{kind.value: (kind,) for kind in FindingKind},
    "all names": (FindingKind.NAME, FindingKind.RANSOM_NOTE, FindingKind.KEY_FILE, FindingKind.WORK_DIRECTORY),
    "all contents": (FindingKind.DIGEST, FindingKind.YARA, FindingKind.ENCRYPTED_FILE),
    "all hives": (FindingKind.SERVICE, FindingKind.REGISTRY),
    "all logs": (FindingKind.EXECUTION, FindingKind.EVENT_LOG, FindingKind.NETWORK, FindingKind.JOURNAL),
}


def written_by_windows(stage: Stage) -> list[Finding]:
    """Return the findings of the traces that the lab cannot write, as their examiners give them."""
    return [
        Finding(
            family="wannacry",
            kind=kind,
            indicator=indicator,
            set="test",
            severity=severity,
            where=Where(volume="v1", path=f"Windows/{indicator}", mft_entry=9000 + number),
            times={"event": _BEGAN},
            id=f"W{number:06d}",
        )
        for number, (since, kind, indicator, severity) in enumerate(_WRITTEN_BY_WINDOWS)
        if since <= stage
    ]


def judged(
    lab_disk: LabDisk, stage: Stage, *, added: Iterable[Finding] = (), taken: Collection[FindingKind] = ()
) -> Verdict:
    """Judge the findings of a lab disk's run, some added, some kinds taken away."""
    report = case_of(lab_disk(stage)).report
    findings = [one for one in (*report.findings, *added) if one.kind not in taken]
    events = [_SHADOWS] if stage is Stage.FINISHED else []
    return judge(findings, report.gaps, events, report.volumes)


@pytest.mark.parametrize("stage", _INFECTED)
def test_a_whole_disk_shows_its_stage_with_certainty(lab_disk: LabDisk, stage: Stage) -> None:
    judgement = judged(lab_disk, stage, added=written_by_windows(stage)).judgement
    assert judgement is not None
    assert (judgement.stage, judgement.confidence, judgement.phase) == (stage, Confidence.HIGH, PHASES[stage])
    assert (judgement.earliest, judgement.latest) == (stage, stage)
    for row in judgement.evidence:
        assert row.bearing is (Bearing.FOR if row.stage <= stage else Bearing.AGAINST), row
        assert (row.count > 0) is (row.bearing is Bearing.FOR)
    against = {row.stage for row in judgement.evidence if row.bearing is Bearing.AGAINST}
    assert against == {later for later in _INFECTED if later > stage}


@pytest.mark.parametrize("stage", _INFECTED)
def test_reasons_of_a_row_are_findings_of_its_sign(lab_disk: LabDisk, stage: Stage) -> None:
    report = case_of(lab_disk(stage)).report
    by_id = {one.id: one for one in report.findings}
    judgement = report.verdict.judgement
    assert judgement is not None
    for row in judgement.evidence:
        signs = {sign_of(by_id[identifier]) for identifier in row.ids}
        assert {sign.name for sign in signs if sign is not None} == ({row.sign} if row.ids else set())


@pytest.mark.parametrize("taken", _TAKEN)
@pytest.mark.parametrize("stage", _INFECTED)
def test_the_stage_stands_without_any_one_kind_of_finding(lab_disk: LabDisk, stage: Stage, taken: str) -> None:
    judgement = judged(lab_disk, stage, added=written_by_windows(stage), taken=_TAKEN[taken]).judgement
    assert judgement is not None
    assert judgement.stage is stage
    kinds = {sign.name: sign.kind for sign in SIGNS}
    speaking = {row.sign for row in judgement.evidence if row.bearing is Bearing.FOR and row.stage >= stage}
    assert {kinds[sign] for sign in speaking}.isdisjoint(_TAKEN[taken])
    if judgement.confidence is Confidence.LOW:
        assert len(speaking) == 1 or judgement.speaking_against > len(speaking)


@pytest.mark.parametrize("sign", [sign for sign in SIGNS if sign.stage is not None], ids=lambda sign: sign.name)
def test_the_stage_stands_without_any_one_sign(lab_disk: LabDisk, sign: object) -> None:
    for stage in _INFECTED:
        report = case_of(lab_disk(stage)).report
        findings = [one for one in (*report.findings, *written_by_windows(stage)) if sign_of(one) is not sign]
        assert judge(findings, report.gaps, (), report.volumes).stage is stage


@pytest.mark.parametrize("artefact", Artefact)
@pytest.mark.parametrize("stage", _INFECTED)
def test_a_real_disk_without_one_kind_of_artefact(
    lab_disk: LabDisk, tmp_path: Path, stage: Stage, artefact: Artefact
) -> None:
    disk = lab_disk(spec=DiskSpec(stage=stage, without=(artefact,)))
    case = examine_here(disk.image, tmp_path / "case", extra_sets=(str(disk.indicators),))
    judgement = case.report.verdict.judgement
    assert judgement is not None
    assert judgement.stage is stage
    assert judgement.speaking_for > (1 if stage >= Stage.INSTALLED else 0)


@pytest.mark.parametrize("alike", [*((one,) for one in odd.LookAlike), odd.LOOK_ALIKES], ids=lambda one: "+".join(one))
def test_look_alikes_are_no_infection(lab_disk: LabDisk, tmp_path: Path, alike: tuple[odd.LookAlike, ...]) -> None:
    disk = lab_disk(spec=DiskSpec(stage=Stage.NONE, look_alikes=alike))
    case = examine_here(disk.image, tmp_path / "case", extra_sets=(str(disk.indicators),))
    verdict = case.report.verdict
    assert (verdict.outcome, verdict.stage, verdict.judgement) == (Outcome.NO_KNOWN_INDICATORS, Stage.NONE, None)
    assert case.telling() == []
    assert case.report.gaps == ()


def test_every_look_alike_is_on_the_disk(lab_disk: LabDisk) -> None:
    """So that the test above cannot pass because nothing was planted."""
    planted = {one.path for one in lab_disk(Stage.NONE).streams}
    for path in (
        "Program Files/Scheduler/tasksche.exe",
        "Program Files/taskscheduler100/tasksche.exe",
        "ProgramData/printspooler123/settings.ini",
        "Users/alice/Saved/mail/@Please_Read_Me@.txt",
        "Users/alice/Saved/recipebook100/b.wnry",
    ):
        assert path in planted
    names = {one.indicator for one in case_of(lab_disk(Stage.NONE)).report.findings}
    assert {
        "installer",
        "installer-image-service",
        "work-directory-shape",
        "extension-encrypted",
        "extension-temporary",
        "ransom-note",
        "component",
    } <= names


def test_a_second_infection_is_recognised_on_the_lab_disk(lab_disk: LabDisk) -> None:
    judgement = judged(lab_disk, Stage.ENCRYPTING).judgement
    assert judgement is not None
    assert [one.case for one in judgement.special] == [SpecialCase.SEVERAL]
    assert judgement.special[0].confidence is Confidence.HIGH

"""The verdict: each kind of evidence gives its stage, low severity none, an open material gap forbids an all-clear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.indicators.load import NAMES_TOML
from triage.indicators.names import load_names
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind, Where
from triage.model.verdict import Outcome, Stage
from triage.verdict.judge import judge
from triage.verdict.materiality import MATERIAL, weigh
from triage.verdict.signs import stage_of
from triage.verdict.stage import STAGE_NAMES


def finding(
    kind: FindingKind, indicator: str, severity: Severity = Severity.HIGH, path: str = "Windows/x", **facts: str
) -> Finding:
    return Finding(
        family="wannacry",
        kind=kind,
        indicator=indicator,
        set="test",
        severity=severity,
        where=Where(volume="v1", path=path),
        facts=facts,
        id="F000001",
    )


WORM = finding(FindingKind.NAME, "worm-in-windows-directory")
SERVICE = finding(FindingKind.SERVICE, "worm-service")
INSTALLER = finding(FindingKind.SERVICE, "installer-service")
KEY = finding(FindingKind.KEY_FILE, "key-file")
ENCRYPTED = finding(FindingKind.ENCRYPTED_FILE, "container WANACRY!", original_size_bytes="5")
WALLPAPER = finding(FindingKind.RANSOM_NOTE, "ransom-note", path="Users/a/Desktop/@WanaDecryptor@.bmp")


@pytest.mark.parametrize(
    ("findings", "stage"),
    [
        ([WORM], Stage.DROPPER_ONLY),
        ([finding(FindingKind.DIGEST, "db349b97", description="mssecsvc.exe: worm/dropper")], Stage.DROPPER_ONLY),
        ([WORM, SERVICE], Stage.PROPAGATING),
        ([SERVICE, INSTALLER, WORM], Stage.INSTALLED),
        ([finding(FindingKind.DIGEST, "84c82835", description="tasksche.exe: encryptor installer")], Stage.INSTALLED),
        ([finding(FindingKind.WORK_DIRECTORY, "work-directory-computed")], Stage.INSTALLED),
        ([INSTALLER, KEY], Stage.ENCRYPTING),
        ([ENCRYPTED], Stage.ENCRYPTING),
        ([ENCRYPTED, WALLPAPER], Stage.FINISHED),
        ([finding(FindingKind.NAME, "free-space-filler")], Stage.FINISHED),
        ([finding(FindingKind.DIGEST, "00", description="the user's own list")], None),
    ],
)
def test_stage_is_the_highest_that_is_proved(findings: list[Finding], stage: Stage | None) -> None:
    verdict = judge(findings, [])
    assert verdict.outcome is Outcome.INDICATORS_FOUND
    assert verdict.stage == stage
    assert verdict.stage_name == STAGE_NAMES[stage]
    assert verdict.advice


@pytest.mark.parametrize("stage", [Stage.PROPAGATING, Stage.INSTALLED, Stage.ENCRYPTING, Stage.FINISHED])
def test_from_stage_two_on_the_disk_must_not_be_booted(stage: Stage) -> None:
    by_stage = {
        Stage.PROPAGATING: SERVICE,
        Stage.INSTALLED: INSTALLER,
        Stage.ENCRYPTING: KEY,
        Stage.FINISHED: WALLPAPER,
    }
    verdict = judge([by_stage[stage]], [])
    assert verdict.stage is stage
    assert any("Do not boot" in sentence for sentence in verdict.advice)


@given(st.sampled_from(FindingKind), st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.text(max_size=9)))
def test_low_severity_alone_is_no_verdict(kind: FindingKind, indicator: str, facts: dict[str, str]) -> None:
    low = Finding(
        family="wannacry",
        kind=kind,
        indicator=indicator,
        set="test",
        severity=Severity.LOW,
        where=Where(),
        facts=facts,
    )
    assert stage_of(low) is None
    assert judge([low], []).outcome is Outcome.NO_KNOWN_INDICATORS


def test_every_kind_of_gap_has_its_weight() -> None:
    assert set(MATERIAL) == set(GapKind)


@pytest.mark.parametrize("kind", list(GapKind))
def test_nothing_found_is_impossible_while_a_material_gap_is_open(kind: GapKind) -> None:
    gaps = weigh([Gap(kind=kind, detail="test", id="G000001")])
    outcome = judge([], gaps).outcome
    assert outcome is (Outcome.INCONCLUSIVE if MATERIAL[kind] else Outcome.NO_KNOWN_INDICATORS)
    assert judge([WORM], gaps).outcome is Outcome.INDICATORS_FOUND


def test_a_gap_that_was_worked_around_stays_immaterial() -> None:
    gaps = weigh([Gap(kind=GapKind.BOOT_SECTOR, detail="backup used", material=False)])
    assert not gaps[0].material
    assert judge([], gaps).outcome is Outcome.NO_KNOWN_INDICATORS


def test_the_word_clean_is_never_said() -> None:
    for findings, gaps in (([], []), ([WORM], []), ([], [Gap(kind=GapKind.INTERNAL, detail="x", id="G1")])):
        verdict = judge(findings, gaps)
        assert not any(" clean " in f" {sentence.lower()} ".replace("or clean and", "") for sentence in verdict.advice)


def test_every_telling_name_rule_has_a_stage() -> None:
    names = load_names(NAMES_TOML)
    rules = [rule for listed in (*names.by_name.values(), *names.by_extension.values()) for rule in listed]
    telling = [rule for rule in rules if rule.severity is not Severity.LOW]
    missing = [rule.id for rule in telling if stage_of(finding(rule.kind, rule.id)) is None]
    assert missing == []

"""How signs are weighed: one sign alone is never sure, gaps leave things open, special cases are told by name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind, Where
from triage.model.indicator import Confidence
from triage.model.verdict import Bearing, SpecialCase, Stage, StageJudgement
from triage.model.volume import HibernationFile, VolumeInfo, WindowsInfo
from triage.verdict.judge import judge
from triage.verdict.signs import SIGNS
from triage.verdict.stage import judge_stage
from triage.verdict.unseen import BLINDING

_EARLY, _BEGAN, _LATER = (f"2017-05-12T0{hour}:00:00.0000000Z" for hour in (7, 8, 9))


def volume(name: str, windows: WindowsInfo | None) -> VolumeInfo:
    return VolumeInfo(
        id=name, evidence=0, offset_bytes=0, length_bytes=1, filesystem="ntfs", examined=True, windows=windows
    )


WINDOWS, DATA = volume("v1", WindowsInfo(computer_name="WIN7-PC")), volume("v2", None)


def found(
    kind: FindingKind,
    indicator: str,
    path: str = "x/y",
    *,
    severity: Severity = Severity.HIGH,
    on: str = "v1",
    entry: int = 100,
    deleted: bool = False,
    **facts: str,
) -> Finding:
    return Finding(
        family="wannacry",
        kind=kind,
        indicator=indicator,
        set="test",
        severity=severity,
        where=Where(volume=on, path=path, mft_entry=entry),
        times={"fn_created": _BEGAN},
        facts=facts,
        deleted=deleted,
        id=f"{indicator}@{path}",
    )


WORM = found(FindingKind.NAME, "worm-in-windows-directory", "Windows/mssecsvc.exe")
WORM_SERVICE = found(FindingKind.SERVICE, "worm-service")
INSTALLER = found(FindingKind.NAME, "installer-in-windows-directory", "Windows/tasksche.exe")
PREVIOUS = found(FindingKind.NAME, "previous-installer-in-windows-directory", "Windows/qeriuwjhrf")
SERVICE = found(FindingKind.SERVICE, "installer-service", service="abcdefgh123")
VALUE = found(FindingKind.REGISTRY, "work-directory-value")
KEYS = found(FindingKind.KEY_FILE, "key-file", "ProgramData/abcdefgh123/00000000.pky")
ENCRYPTED = found(FindingKind.ENCRYPTED_FILE, "WANACRY! container", "Users/a/b.doc.WNCRY")
NOTE = found(FindingKind.RANSOM_NOTE, "ransom-note", "Users/a/@Please_Read_Me@.txt")
WALLPAPER = found(FindingKind.RANSOM_NOTE, "ransom-note", "Users/a/Desktop/@WanaDecryptor@.bmp")
RUN_VALUE = found(FindingKind.REGISTRY, "installer-run-value")
AT_WORK = (WORM, WORM_SERVICE, INSTALLER, SERVICE, VALUE, KEYS, ENCRYPTED, NOTE)


def happened(kind: EventKind, time: str) -> Event:
    return Event(time_utc=time, kind=kind, source=EventSource.EVENT_LOG, what="x", where=Where(volume="v1"))


def weighed(*findings: Finding, gaps: Sequence[Gap] = (), events: Sequence[Event] = ()) -> StageJudgement:
    return judge_stage(findings, gaps, events, [WINDOWS])


def specials(judgement: StageJudgement) -> dict[SpecialCase, Confidence]:
    return {one.case: one.confidence for one in judgement.special}


@pytest.mark.parametrize("one", AT_WORK, ids=lambda one: one.indicator)
def test_one_sign_alone_gives_a_stage_with_low_confidence_and_a_range(one: Finding) -> None:
    judgement = weighed(one)
    assert judgement.confidence is Confidence.LOW
    assert judgement.stage is not None
    assert judgement.earliest is Stage.DROPPER_ONLY
    assert judgement.latest is judgement.stage
    assert judgement.speaking_for == 1


def test_one_name_told_three_times_makes_no_stage_surer() -> None:
    """A file, a run and a task by the name of one program: another maker's may have all of them."""
    program = r"C:\Windows\tasksche.exe"
    ran = found(FindingKind.EXECUTION, "installer-in-windows-directory", "Windows/Prefetch/T.pf", program=program)
    task = found(
        FindingKind.SCHEDULED_TASK, "installer-in-windows-directory", "Windows/System32/Tasks/T", program=program
    )
    assert weighed(INSTALLER, ran, task).confidence is Confidence.LOW
    other = found(FindingKind.EXECUTION, "installer-in-windows-directory", "P", program=r"C:\Windows\qeriuwjhrf")
    assert weighed(INSTALLER, other, task).confidence is Confidence.MEDIUM


def test_a_task_alone_does_not_say_that_the_worm_is_there() -> None:
    task = found(FindingKind.SCHEDULED_TASK, "worm-in-windows-directory", "Windows/System32/Tasks/T")
    judgement = weighed(task)
    assert judgement.stage is Stage.DROPPER_ONLY
    assert SpecialCase.KILL_SWITCH not in specials(judgement)


def test_many_findings_of_one_sign_are_one_sign() -> None:
    judgement = weighed(*(found(FindingKind.NAME, "worm", f"{number}/mssecsvc.exe") for number in range(50)))
    assert (judgement.confidence, judgement.speaking_for) == (Confidence.LOW, 1)
    (row,) = [row for row in judgement.evidence if row.bearing is Bearing.FOR]
    assert (row.count, len(row.ids)) == (50, 20)


def test_a_later_stage_with_one_weak_sign_is_possible_and_no_more() -> None:
    weak = found(FindingKind.REGISTRY, "installer-run-value", severity=Severity.MEDIUM)
    judgement = weighed(*AT_WORK, weak)
    assert (judgement.stage, judgement.latest) == (Stage.ENCRYPTING, Stage.FINISHED)
    assert judgement.confidence is Confidence.MEDIUM
    far = found(FindingKind.YARA, "WannaCry_SessionLauncher_Strings", severity=Severity.MEDIUM, entry=101)
    assert (weighed(WORM, far).stage, weighed(WORM, far).latest) == (Stage.DROPPER_ONLY, Stage.INSTALLED)
    assert weighed(*AT_WORK, RUN_VALUE).stage is Stage.FINISHED
    assert weighed(*AT_WORK, RUN_VALUE).confidence is Confidence.LOW
    assert weighed(*AT_WORK, RUN_VALUE).earliest is Stage.ENCRYPTING
    assert weighed(*AT_WORK, RUN_VALUE, WALLPAPER).confidence is Confidence.HIGH


def test_what_is_missing_speaks_against() -> None:
    whole = weighed(*AT_WORK)
    assert (whole.stage, whole.confidence, whole.speaking_against) == (Stage.ENCRYPTING, Confidence.HIGH, 0)
    without_keys = weighed(*(one for one in AT_WORK if one is not KEYS))
    assert (without_keys.stage, without_keys.confidence) == (Stage.ENCRYPTING, Confidence.MEDIUM)
    assert [row.sign for row in without_keys.evidence if row.bearing is Bearing.AGAINST and row.stage == 4] == [
        "key-files"
    ]
    assert weighed(ENCRYPTED, found(FindingKind.JOURNAL, "encrypted-rename")).confidence is Confidence.MEDIUM


@pytest.mark.parametrize("kind", list(GapKind))
def test_a_gap_leaves_open_what_it_may_hide(kind: GapKind) -> None:
    gap = Gap(kind=kind, detail="x", where=Where(volume="v1"), id="G1")
    rows = [row for row in weighed(WORM, gaps=[gap]).evidence if row.bearing is not Bearing.FOR]
    kinds = {sign.name: sign.kind for sign in SIGNS}
    assert rows
    for row in rows:
        hidden = kind in BLINDING[kinds[row.sign]]
        assert (row.bearing, row.ids) == ((Bearing.OPEN, ("G1",)) if hidden else (Bearing.AGAINST, ()))


def test_a_gap_that_concerns_no_windows_leaves_nothing_open() -> None:
    elsewhere = Gap(kind=GapKind.VOLUME_NOT_EXAMINED, detail="x", where=Where(volume="v2"), id="G1")
    mended = Gap(kind=GapKind.HIVE_DIRTY, detail="x", where=Where(volume="v1"), material=False, id="G2")
    rows = judge_stage([WORM], [elsewhere, mended], (), [WINDOWS, DATA]).evidence
    assert Bearing.OPEN not in {row.bearing for row in rows}


def test_later_stages_that_could_not_be_looked_for_are_possible() -> None:
    gap = Gap(kind=GapKind.HIVE_MISSING, detail="x", where=Where(volume="v1"), id="G1")
    judgement = weighed(WORM, found(FindingKind.DIGEST, "0", description="worm"), gaps=[gap])
    assert (judgement.stage, judgement.latest) == (Stage.DROPPER_ONLY, Stage.PROPAGATING)
    assert judgement.confidence is Confidence.MEDIUM
    assert any("Do not boot" in sentence for sentence in judge([WORM], [gap], (), [WINDOWS]).advice)
    assert not any("Do not boot" in sentence for sentence in judge([WORM], [], (), [WINDOWS]).advice)


def test_without_a_windows_nothing_is_said_to_be_missing() -> None:
    assert Bearing.AGAINST not in {row.bearing for row in judge_stage([WORM], (), (), [DATA]).evidence}


def test_a_program_that_was_run_is_known_by_name_or_by_digest() -> None:
    digest = "84c82835a5d21bbcf75a61706d8ab549"
    assert weighed(found(FindingKind.EXECUTION, digest, description="encryptor installer")).stage is Stage.INSTALLED
    assert weighed(found(FindingKind.EXECUTION, "installer-in-work-directory")).stage is Stage.INSTALLED
    assert weighed(found(FindingKind.EXECUTION, digest, description="WannaCry sample")).stage is None


def test_the_encryptor_inside_the_worms_own_file_is_no_second_stage() -> None:
    inside = found(FindingKind.YARA, "WannaCry_Installer_Strings", "Windows/mssecsvc.exe")
    beside = found(FindingKind.YARA, "WannaCry_Installer_Strings", "Windows/tasksche.exe", entry=101)
    assert weighed(inside, WORM).stage is Stage.DROPPER_ONLY
    assert weighed(beside, WORM).stage is Stage.INSTALLED


@pytest.mark.parametrize(("time", "stage"), [(_EARLY, Stage.ENCRYPTING), (_LATER, Stage.FINISHED)])
def test_deleted_shadow_copies_count_after_the_encryption_began(time: str, stage: Stage) -> None:
    judgement = weighed(*AT_WORK, events=[happened(EventKind.SHADOWS_DELETED, time)])
    assert judgement.latest is stage
    assert weighed(WORM, events=[happened(EventKind.SHADOWS_DELETED, time)]).latest is Stage.DROPPER_ONLY


def test_the_kill_switch_is_recognised_by_what_did_not_come_after_it() -> None:
    contact = found(FindingKind.NETWORK, "ip_killswitch_sinkhole", severity=Severity.MEDIUM)
    run = found(FindingKind.EXECUTION, "worm-in-windows-directory", "Windows/Prefetch/MSSECSVC.EXE-1.pf")
    assert specials(weighed(WORM, contact)) == {SpecialCase.KILL_SWITCH: Confidence.HIGH}
    assert specials(weighed(WORM, run)) == {SpecialCase.KILL_SWITCH: Confidence.MEDIUM}
    assert specials(weighed(WORM)) == {SpecialCase.KILL_SWITCH: Confidence.LOW}
    assert SpecialCase.KILL_SWITCH not in specials(weighed(WORM, contact, WORM_SERVICE))
    dropped = replace(contact, facts={"lines": "3", "dropped": "3"})
    assert specials(weighed(WORM, dropped)) == {SpecialCase.KILL_SWITCH: Confidence.LOW}
    assert specials(weighed(WORM, run, dropped)) == {SpecialCase.KILL_SWITCH: Confidence.LOW}
    once = replace(contact, facts={"lines": "3", "dropped": "2"})
    assert specials(weighed(WORM, dropped, once)) == {SpecialCase.KILL_SWITCH: Confidence.HIGH}
    assert any("Do not block" in sentence for sentence in judge([WORM, contact], []).advice)


@pytest.mark.parametrize(
    "findings",
    [
        (ENCRYPTED, NOTE),
        (WORM_SERVICE, SERVICE),
        (found(FindingKind.NAME, "worm", "Windows/mssecsvc.exe", deleted=True), WORM_SERVICE),
        (found(FindingKind.DIGEST, "0", "ProgramData/AV/Quarantine/1.bin", description="worm"),),
        (*AT_WORK, found(FindingKind.REGISTRY, "pending-program-deletions", severity=Severity.MEDIUM)),
        (*AT_WORK, found(FindingKind.EVENT_LOG, "antivirus-detection", severity=Severity.MEDIUM)),
    ],
)
def test_what_an_antivirus_took_away_is_recognised(findings: tuple[Finding, ...]) -> None:
    assert SpecialCase.CLEANED in specials(weighed(*findings))
    assert any("quarantine" in sentence for sentence in judge(findings, []).advice)


def test_a_whole_infection_is_not_taken_for_a_cleaned_one() -> None:
    assert specials(weighed(*AT_WORK, events=[happened(EventKind.MALWARE_DETECTED, _LATER)])) == {}


@pytest.mark.parametrize(
    "second",
    [
        PREVIOUS,
        found(FindingKind.KEY_FILE, "key-file", "Intel/abcdefgh123/00000000.pky"),
        found(FindingKind.SERVICE, "installer-service", service="hgfedcba321"),
        found(FindingKind.RANSOM_NOTE, "ransom-note-v1", "Users/a/!WannaDecryptor!.exe"),
    ],
    ids=lambda one: one.indicator,
)
def test_several_infections_are_recognised(second: Finding) -> None:
    assert SpecialCase.SEVERAL in specials(weighed(*AT_WORK, second))
    gone = replace(second, deleted=True)
    assert SpecialCase.SEVERAL not in specials(weighed(*AT_WORK, gone))


def keys_in(folder: str, sha256: str | None, state: str | None = None) -> list[Finding]:
    return [
        replace(found(FindingKind.KEY_FILE, "key-file", f"{folder}/00000000.{name}"), digests=Digests(sha256=digest))
        for name, digest in (("pky", sha256), ("eky", sha256), ("res", state))
    ]


@pytest.mark.parametrize(
    ("copied", "is_second"),
    [("a", False), ("b", True), (None, True)],
    ids=["same", "different", "not read"],
)
def test_a_copy_of_the_key_files_is_no_second_infection(copied: str | None, is_second: bool) -> None:
    keys = [*keys_in("ProgramData/abcdefgh123", "a", "state"), *keys_in("keys-backup", copied, "older state")]
    assert (SpecialCase.SEVERAL in specials(weighed(*AT_WORK[:-3], ENCRYPTED, NOTE, *keys))) is is_second


def test_a_note_alone_does_not_tell_that_something_was_encrypted() -> None:
    assert SpecialCase.CLEANED not in specials(weighed(NOTE))


def test_two_work_directories_are_two_infections() -> None:
    folders = ("ProgramData/abcdefgh123", "Intel/hgfedcba321")
    installers = [
        found(FindingKind.NAME, "installer-in-work-directory", f"{folder}/tasksche.exe") for folder in folders
    ]
    assert SpecialCase.SEVERAL in specials(weighed(*installers))
    assert SpecialCase.SEVERAL not in specials(weighed(installers[0], *AT_WORK))


def test_files_that_another_disk_encrypted_are_recognised() -> None:
    files = [found(FindingKind.ENCRYPTED_FILE, "WANACRY! container", f"{number}.WNCRY", on="v2") for number in range(3)]
    assert specials(judge_stage(files, (), (), [DATA])) == {SpecialCase.ELSEWHERE: Confidence.MEDIUM}
    assert specials(judge_stage(files, (), (), [WINDOWS, DATA])) == {SpecialCase.ELSEWHERE: Confidence.MEDIUM}
    assert SpecialCase.ELSEWHERE not in specials(judge_stage([*files, KEYS], (), (), [WINDOWS, DATA]))
    assert SpecialCase.ELSEWHERE not in specials(judge_stage([*files, ENCRYPTED, VALUE], (), (), [WINDOWS, DATA]))


RESCUED = (
    found(FindingKind.ENCRYPTED_FILE, "WANACRY! container", "Rescue from Bob/letter.doc.WNCRY"),
    found(FindingKind.KEY_FILE, "key-file", "Rescue from Bob/00000000.pky"),
    found(FindingKind.RANSOM_NOTE, "ransom-note", "Rescue from Bob/@Please_Read_Me@.txt"),
    found(FindingKind.YARA, "WannaCry_Note_Text", "Rescue from Bob/@Please_Read_Me@.txt"),
)


@pytest.mark.parametrize("copied", [RESCUED, RESCUED[:1]], ids=["with keys and note", "containers only"])
def test_rescued_files_of_another_computer_are_not_taken_for_an_infection_for_sure(copied: tuple[Finding, ...]) -> None:
    judgement = weighed(*copied)
    assert (judgement.stage, judgement.confidence) == (Stage.ENCRYPTING, Confidence.LOW)
    assert specials(judgement)[SpecialCase.ELSEWHERE] is Confidence.LOW
    assert specials(judgement).get(SpecialCase.CLEANED, Confidence.LOW) is Confidence.LOW
    advice = judge(copied, [], (), [WINDOWS]).advice
    assert not any("service" in sentence for sentence in advice)
    assert any("copied here" in sentence for sentence in advice)


@pytest.mark.parametrize(
    "trace",
    [
        WORM,
        VALUE,
        SERVICE,
        found(FindingKind.EXECUTION, "installer-in-work-directory"),
        found(FindingKind.EVENT_LOG, "worm-service-installed"),
        found(FindingKind.JOURNAL, "encrypted-rename"),
        found(FindingKind.KEY_FILE, "key-file", "Intel/abcdefgh123/00000000.eky"),
    ],
    ids=lambda one: one.indicator,
)
def test_one_trace_of_the_malware_at_work_shows_that_nothing_was_copied(trace: Finding) -> None:
    assert SpecialCase.ELSEWHERE not in specials(weighed(*RESCUED, trace))


def test_where_a_gap_may_hide_the_encryptor_nothing_is_said_of_copies() -> None:
    gap = Gap(kind=GapKind.HIVE_MISSING, detail="x", where=Where(volume="v1"), id="G1")
    assert SpecialCase.ELSEWHERE not in specials(weighed(*RESCUED, gaps=[gap]))


def test_what_is_missing_before_a_stage_makes_it_less_sure() -> None:
    lone = (*RESCUED, found(FindingKind.JOURNAL, "encrypted-rename"))
    assert weighed(*lone).confidence is Confidence.MEDIUM
    assert weighed(*lone, WORM, WORM_SERVICE, INSTALLER).confidence is Confidence.HIGH


def test_a_copy_that_cannot_encrypt_is_recognised() -> None:
    corrupt = found(FindingKind.DIGEST, "0", description="worm without kill switch; embedded zip is corrupt")
    started = [happened(EventKind.SYSTEM_STARTED, _LATER)]
    assert specials(weighed(corrupt, WORM_SERVICE)) == {SpecialCase.CANNOT_ENCRYPT: Confidence.HIGH}
    assert specials(weighed(WORM, WORM_SERVICE, INSTALLER, SERVICE, events=started)) == {
        SpecialCase.CANNOT_ENCRYPT: Confidence.MEDIUM
    }
    assert specials(weighed(WORM, WORM_SERVICE, INSTALLER, events=[happened(EventKind.SYSTEM_STARTED, _EARLY)])) == {}
    assert specials(weighed(WORM, WORM_SERVICE, events=started)) == {}
    assert specials(weighed(*AT_WORK, events=started)) == {}


@pytest.mark.parametrize("state", list(HibernationFile))
@pytest.mark.parametrize("findings", [(WORM_SERVICE,), (SERVICE,), AT_WORK, (*AT_WORK, WALLPAPER)], ids=len)
def test_from_stage_two_on_keys_and_hibernation_file_are_kept(
    findings: tuple[Finding, ...], state: HibernationFile
) -> None:
    advice = judge(findings, [], (), [volume("v1", WindowsInfo(hibernation_file=state))]).advice
    assert "Do not boot" in advice[0]
    assert any("00000000." in sentence for sentence in advice)
    assert sum(sentence.count("hiberfil.sys") for sentence in advice) == 2
    assert sum("hiberfil.sys" in one for one in judge(findings, [], (), [WINDOWS]).advice) == 1


def test_of_a_windows_that_does_not_start_no_next_start_is_told() -> None:
    older = [replace(one, where=replace(one.where, path=f"Windows.old/{one.where.path}")) for one in AT_WORK[:5]]
    advice = judge(older, [], (), [WINDOWS]).advice
    assert "Windows.old" in advice[0]
    assert not any("next boot" in sentence or "a service starts" in sentence for sentence in advice)
    assert "Do not boot" in judge([*older, WORM_SERVICE], [], (), [WINDOWS]).advice[0]


def test_pending_deletions_are_named_and_encryption_that_was_cut_short_is_urgent() -> None:
    pending = found(FindingKind.REGISTRY, "pending-deletions", severity=Severity.MEDIUM)
    assert any("at its next start" in sentence for sentence in judge([*AT_WORK, pending], []).advice)
    assert any("at once" in sentence for sentence in judge(AT_WORK, []).advice)


def test_a_stage_that_is_not_sure_says_so_in_the_advice() -> None:
    assert any("not sure" in sentence for sentence in judge([SERVICE], [], (), [WINDOWS]).advice)
    assert not any("not sure" in sentence for sentence in judge(AT_WORK, [], (), [WINDOWS]).advice)


_ANY = st.builds(
    found,
    st.sampled_from(FindingKind),
    st.sampled_from(sorted({name for sign in SIGNS for name in sign.indicators})),
    st.sampled_from(["Windows/x", "Users/a/Desktop/@WanaDecryptor@.bmp", "a/b"]),
    severity=st.sampled_from(Severity),
    deleted=st.booleans(),
    description=st.sampled_from(["worm", "installer", "", "embedded zip is corrupt"]),
)


@given(st.lists(_ANY, max_size=12), st.lists(st.sampled_from(GapKind), max_size=3))
def test_whatever_is_found_the_judgement_holds_together(findings: list[Finding], kinds: list[GapKind]) -> None:
    gaps = [Gap(kind=kind, detail="x", id=f"G{number}") for number, kind in enumerate(kinds)]
    judgement = judge_stage(findings, gaps, (), [WINDOWS])
    speaking = [row for row in judgement.evidence if row.bearing is Bearing.FOR]
    if judgement.stage is None:
        assert speaking == []
        return
    assert judgement.earliest is not None
    assert judgement.latest is not None
    assert judgement.earliest <= judgement.stage <= judgement.latest
    assert judgement.stage in {row.stage for row in speaking}
    assert judgement.latest >= max(row.stage for row in speaking)
    assert (judgement.confidence is Confidence.LOW) >= (judgement.speaking_for == 1)
    assert judge_stage([*findings, *findings], gaps, (), [WINDOWS]).stage is judgement.stage

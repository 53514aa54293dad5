"""Dirty hives made by hivex with logs of both formats: what only the replay shows, and what a bad log cannot spoil."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command import here
from tests.lab.hive_logs import dirty_hive, new_log, old_log, with_sequences
from tests.lab.hives import (
    HIVE_TOOL,
    PLAIN_SERVICES,
    WORM_SERVICE,
    LabService,
    empty_hive,
    seal_base_block,
    system_hive,
)
from tests.mutations import mutations, patched
from tests.needs import needs_tool
from tests.parsed_hives import ParsedSystem, examine_hive_file, parse_system
from triage.artefacts.marvin32 import marvin32
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.regf_replay import replay
from triage.examiners.hive_report import HiveReport
from triage.model.errors import ArtefactError, ExitCode
from triage.model.gap import GapKind, Where

WHERE = Where(volume="v1", path="Windows/System32/config/SYSTEM")
FILLERS = tuple(LabService(name=f"filler{number:02}", image_path="x" * 200) for number in range(30))
STAGES = (PLAIN_SERVICES, (*PLAIN_SERVICES, WORM_SERVICE), (*PLAIN_SERVICES, WORM_SERVICE, *FILLERS))
AWAITED = 7

needs_hivex = needs_tool(HIVE_TOOL)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One SYSTEM hive at three times: without the worm, with its service, with many more."""
    path = tmp_path_factory.mktemp("hives") / "SYSTEM"
    made = []
    for services in STAGES:
        system_hive(path, computer_name="WIN7-PC", services=services, control_sets=1)
        made.append(with_sequences(path.read_bytes(), AWAITED, AWAITED))
    return made


def log_file(data: bytes, name: str = "LOG1", problem: str = "") -> LogFile:
    return LogFile(where=Where(path=name), data=data, problem=problem)


def parsed(hive: bytes, *logs: bytes) -> ParsedSystem:
    return parse_system(hive, WHERE, [log_file(log, f"LOG{number}") for number, log in enumerate(logs, 1)])


def examined(hive: bytes, *logs: bytes) -> HiveReport:
    return examine_hive_file(hive, "SYSTEM", [log_file(log) for log in logs])


def material(system: ParsedSystem) -> list[str]:
    assert {gap.kind for gap in system.gaps} <= {GapKind.HIVE_DIRTY}
    return [gap.detail for gap in system.gaps if gap.material]


def names(system: ParsedSystem) -> set[str]:
    return {service.name for service in system.services}


# Published by Microsoft: .NET, `MarvinTests.cs`, and SymCrypt, `lib/marvin32.c`.
@pytest.mark.parametrize(
    ("seed", "data", "checksum"),
    [
        (0x4FB61A001BDBCC, "", 0x30ED35C100CD3C7D),
        (0x4FB61A001BDBCC, "af", 0x48E73FC77D75DDC1),
        (0x4FB61A001BDBCC, "e70f", 0xB5F6E1FC485DBFF8),
        (0x4FB61A001BDBCC, "37f495", 0xF0B07C789B8CF7E8),
        (0x4FB61A001BDBCC, "8642dc59", 0x7008F2E87E9CF556),
        (0x4FB61A001BDBCC, "153fb79826", 0xE6C08C6DA2AFA997),
        (0x4FB61A001BDBCC, "0932e6246c47", 0x6F04BF1A5EA24060),
        (0x4FB61A001BDBCC, "ab427ea8d10fc7", 0xE11847E4F0678C41),
        (0x804FB61A001BDBCC, "", 0x10A9D5D3996FD65D),
        (0x804FB61A001BDBCC, "ab427ea8d10fc7", 0xE203987DBA252FB3),
        (0x804FB61A801BDBCC, "00", 0xA37FB0DA2ECAE06C),
        (0x804FB61A801BDBCC, "FF", 0xFECEF370701AE054),
    ],
)
def test_published_vectors_of_marvin32(seed: int, data: str, checksum: int) -> None:
    assert marvin32(seed, bytes.fromhex(data)) == checksum


def make_new(before: bytes, after: bytes) -> bytes:
    return new_log([before, after], AWAITED)


def make_old(before: bytes, after: bytes) -> bytes:
    return old_log(before, after, AWAITED)


@needs_hivex
@pytest.mark.parametrize("make", [make_new, make_old])
def test_only_the_replay_shows_the_worm(states: list[bytes], make: Callable[[bytes, bytes], bytes]) -> None:
    before, after, _later = states
    hive = dirty_hive(before, AWAITED)
    assert "mssecsvc2.0" not in names(parsed(hive))
    report = examined(hive, make(before, after))
    [finding] = report.findings
    assert (finding.indicator, finding.facts["view"]) == ("worm-service", "after-replay")
    assert [gap.material for gap in report.gaps] == [False]
    assert "replayed from its logs" in report.gaps[0].detail
    assert report.as_found is not None
    assert report.size.keys == report.as_found.keys + 1


@needs_hivex
@pytest.mark.parametrize("make", [make_new, make_old])
def test_a_hive_that_grows(states: list[bytes], make: Callable[[bytes, bytes], bytes]) -> None:
    before, _worm, later = states
    assert len(later) > len(before)
    system = parsed(dirty_hive(before, AWAITED), make(before, later))
    assert material(system) == []
    assert names(system) == {one.name for one in STAGES[2]}


@needs_hivex
@pytest.mark.parametrize("make", [make_new, make_old])
def test_replayed_hive_is_byte_for_byte_the_later_one(
    states: list[bytes], make: Callable[[bytes, bytes], bytes]
) -> None:
    before, _worm, later = states
    result = replay(dirty_hive(before, AWAITED), WHERE, [log_file(make(before, later))])
    assert result.data == later


@needs_hivex
def test_flags_of_the_entry_come_into_the_header(states: list[bytes]) -> None:
    log = new_log(states[:2], AWAITED, flags=1)
    result = replay(dirty_hive(states[0], AWAITED), WHERE, [log_file(log)])
    assert result.data == seal_base_block(patched(states[1], 144, b"\1\0\0\0"))


@needs_hivex
def test_service_that_was_removed_before_the_power_went_is_told_from_the_hive_as_found(states: list[bytes]) -> None:
    before, worm, _later = states
    report = examined(dirty_hive(worm, AWAITED), make_new(worm, before.ljust(len(worm), b"\0")))
    assert [finding.facts["view"] for finding in report.findings] == ["as-found"]


@needs_hivex
def test_what_both_views_say_is_one_finding(states: list[bytes], tmp_path: Path) -> None:
    worm = states[1]
    services = (*FILLERS, WORM_SERVICE, *PLAIN_SERVICES)
    system_hive(tmp_path / "SYSTEM", computer_name="WIN7-PC", services=services, control_sets=1)
    moved = with_sequences((tmp_path / "SYSTEM").read_bytes(), AWAITED, AWAITED)
    report = examined(dirty_hive(worm, AWAITED), make_new(worm, moved))
    [finding], [before], [after] = report.findings, examined(worm).findings, examined(moved).findings
    assert finding.facts["view"] == "both"
    assert finding.where == after.where != before.where


@needs_hivex
def test_what_changed_between_the_views_is_two_findings(states: list[bytes], tmp_path: Path) -> None:
    _before, worm, _later = states
    disabled = LabService(name="mssecsvc2.0", image_path="x", start=4)
    system_hive(tmp_path / "SYSTEM", computer_name="WIN7-PC", services=(*PLAIN_SERVICES, disabled), control_sets=1)
    changed = with_sequences((tmp_path / "SYSTEM").read_bytes().ljust(len(worm), b"\0"), AWAITED, AWAITED)
    report = examined(dirty_hive(worm, AWAITED), make_new(worm, changed))
    assert [(one.facts["view"], one.facts["start"]) for one in report.findings] == [
        ("after-replay", "4"),
        ("as-found", "2"),
    ]


@needs_hivex
def test_clean_hive_leaves_its_logs_alone(states: list[bytes]) -> None:
    before, worm, _later = states
    report = examined(before, make_new(before, worm))
    assert (report.findings, report.gaps, report.as_found) == ((), (), None)
    [finding] = examined(worm).findings
    assert "view" not in finding.facts


@needs_hivex
def test_two_logs_follow_each_other_by_number_and_not_by_name(states: list[bytes]) -> None:
    before, worm, later = states
    first, second = new_log([before, worm], AWAITED), new_log([worm, later], AWAITED + 1)
    for logs in ((first, second), (second, first)):
        system = parsed(dirty_hive(before, AWAITED), *logs)
        assert material(system) == []
        assert names(system) == {one.name for one in STAGES[2]}


@needs_hivex
def test_stale_entries_bring_nothing_back(states: list[bytes]) -> None:
    """A log of the round before, longer than the new one: its last entry still stands behind the new one's."""
    before, worm, _later = states
    stale, fresh = new_log([worm, before, worm, before, worm], 3), new_log([worm, before], AWAITED)
    assert len(before) == len(worm)
    for logs in ((stale, fresh), (fresh, stale), (fresh + stale[len(fresh) :],), (fresh + stale[512:],)):
        system = parsed(dirty_hive(worm, AWAITED), *logs)
        assert names(system) == {one.name for one in STAGES[0]}
        assert material(system) == []


@needs_hivex
def test_two_stale_logs_are_no_replay(states: list[bytes]) -> None:
    before, worm, _later = states
    hive = dirty_hive(before, AWAITED)
    system = parsed(hive, new_log([worm, before], AWAITED - 2), new_log([before, worm], AWAITED - 1))
    assert material(system) == ["log entry 7, which this hive awaits, is in no log"]
    assert names(system) == {one.name for one in STAGES[0]}


@needs_hivex
def test_damage_of_a_stale_log_leaves_nothing_open(states: list[bytes]) -> None:
    before, worm, _later = states
    stale = patched(new_log([worm, before], AWAITED - 1), 512 + 8, b"\1")
    system = parsed(dirty_hive(before, AWAITED), stale, new_log([before, worm], AWAITED))
    assert material(system) == []
    assert names(system) == {one.name for one in STAGES[1]}


@needs_hivex
def test_stale_log_of_the_old_format_is_not_replayed(states: list[bytes]) -> None:
    before, worm, _later = states
    other = seal_base_block(patched(before, 12, struct.pack("<Q", 1)))
    system = parsed(dirty_hive(other, AWAITED), make_old(before, worm))
    assert material(system) == ["log not replayed: it is of another state of the hive"]
    assert names(system) == {one.name for one in STAGES[0]}


@needs_hivex
def test_hole_between_the_logs_ends_the_replay(states: list[bytes]) -> None:
    before, worm, later = states
    system = parsed(dirty_hive(before, AWAITED), new_log([before, worm], AWAITED), new_log([worm, later], AWAITED + 2))
    assert material(system) == ["log entry 8 is in no log: 1 later ones not replayed"]
    assert names(system) == {one.name for one in STAGES[1]}


@needs_hivex
def test_logs_that_were_rotated_twice_are_replayed_together(states: list[bytes]) -> None:
    """The hive awaits an entry that is overwritten, for it was written in part: both logs, joined, make it whole."""
    before, worm, later = states
    logs = new_log([before, worm], AWAITED + 5), new_log([worm, later], AWAITED + 6)
    system = parsed(dirty_hive(before, AWAITED), *logs)
    assert material(system) == []
    assert names(system) == {one.name for one in STAGES[2]}
    remnant = logs[0] + new_log([before, worm, later], AWAITED + 2)[512:]
    assert material(parsed(dirty_hive(before, AWAITED), remnant, logs[1])) == []
    alone = parsed(dirty_hive(before, AWAITED), logs[0])
    assert material(alone) == ["log entry 7 is in no log: 1 later ones not replayed"]
    assert names(alone) == {one.name for one in STAGES[0]}


@needs_hivex
@pytest.mark.parametrize(
    ("offset", "content", "detail"),
    [
        (512 + 4, b"\1", "hash-2"),
        (512, b"XXXX", "hash-2"),
        (512 + 3000, b"\xa5", "hash-1"),
        (512, bytes(512), "the entry is not there"),
        (4, b"\x63", "wrong checksum"),
        (0, bytes(4), "no regf signature"),
    ],
)
def test_damaged_log_is_not_replayed_and_named(states: list[bytes], offset: int, content: bytes, detail: str) -> None:
    before, worm, _later = states
    log = patched(make_new(before, worm), offset, content)
    system = parsed(dirty_hive(before, AWAITED), log)
    assert [gap.where.path for gap in system.gaps if gap.material] == ["LOG1"]
    assert detail in material(system)[0]
    assert names(system) == {one.name for one in STAGES[0]}


@needs_hivex
def test_entry_before_a_damaged_one_is_replayed(states: list[bytes]) -> None:
    log = new_log(states, AWAITED)
    second = log.index(b"HvLE", 513)
    for damaged in (patched(log, second + 40, b"\xff"), log[:-512], patched(log, second, bytes(4))):
        system = parsed(dirty_hive(states[0], AWAITED), damaged)
        assert [detail.startswith("log entry 8 not replayed") for detail in material(system)] == [True]
        assert names(system) == {one.name for one in STAGES[1]}


@needs_hivex
def test_entry_that_is_gone_before_later_ones(states: list[bytes]) -> None:
    log = new_log([states[0], states[1], states[1][:-1] + b"\1", states[2]], AWAITED)
    second = log.index(b"HvLE", 513)
    system = parsed(dirty_hive(states[0], AWAITED), patched(log, second, bytes(40)))
    assert material(system) == ["log entry 8 not replayed: the entry is not there"]


@needs_hivex
def test_missing_unused_and_unreadable_logs(states: list[bytes]) -> None:
    hive = dirty_hive(states[0], AWAITED)
    unknown = "sequence numbers 8 and 7 differ, and no log is there: the hive's last changes are not known"
    assert material(parsed(hive)) == [unknown]
    assert material(parsed(hive, b"", bytes(4096))) == [unknown]
    log = log_file(make_new(states[0], states[1]), problem="not readable: bad sector")
    assert material(parse_system(hive, WHERE, [log])) == ["log not replayed: not readable: bad sector"]


@needs_hivex
@pytest.mark.parametrize("make", [make_new, make_old])
@pytest.mark.parametrize("damage", [(508, b"INVL"), (0, bytes(512))])
def test_damaged_base_block_is_taken_from_the_log(
    states: list[bytes], make: Callable[[bytes, bytes], bytes], damage: tuple[int, bytes]
) -> None:
    before, worm, _later = states
    system = parsed(patched(dirty_hive(before, AWAITED), *damage), make(before, worm))
    assert material(system) == []
    assert any("its damaged base block was taken from there" in gap.detail for gap in system.gaps)
    assert "mssecsvc2.0" in names(system)


@needs_hivex
def test_old_log_of_unknown_age_over_a_lost_base_block_stays_doubtful(states: list[bytes]) -> None:
    before, worm, _later = states
    lost = patched(patched(before, 0, bytes(512)), 4096 + 20, bytes(8))
    system = parsed(lost, make_old(before, worm))
    assert material(system) == ["log replayed, but whether it is of this state of the hive cannot be told"]
    assert "mssecsvc2.0" in names(system)


@needs_hivex
def test_old_log_with_a_damaged_hive_bin_is_not_replayed(states: list[bytes]) -> None:
    before, worm, _later = states
    log = make_old(before, worm)
    damaged = patched(log, log.index(b"hbin"), b"gbin")
    system = parsed(dirty_hive(before, AWAITED), damaged)
    assert material(system) == ["log entry 7 not replayed: a hive bin in it is damaged"]
    assert names(system) == {one.name for one in STAGES[0]}


@needs_hivex
@pytest.mark.parametrize("length", [-512, 520])
def test_old_log_that_is_cut_off_is_not_replayed(states: list[bytes], length: int) -> None:
    before, _worm, later = states
    system = parsed(dirty_hive(before, AWAITED), make_old(before, later)[:length])
    assert material(system) == ["log not replayed: the log is cut off"]
    assert names(system) == {one.name for one in STAGES[0]}


@needs_hivex
def test_a_log_cannot_blow_a_hive_up(states: list[bytes]) -> None:
    """Anybody can write entries with right checksums."""
    before = states[0]
    huge = before + bytes(64 << 20)
    log = new_log([huge, patched(huge, 5000, b"\1")], AWAITED)
    system = parsed(dirty_hive(before, AWAITED), log)
    assert material(system) == ["log entry 7 not replayed: the hive would grow by more than the log holds"]


@needs_hivex
def test_replay_that_leaves_no_hive_falls_back_to_what_was_found(states: list[bytes]) -> None:
    before = states[0]
    empty = before[:4096] + bytes(len(before) - 4096)
    system = parsed(dirty_hive(before, AWAITED), make_new(before, empty))
    assert "with its logs replayed it cannot be read" in material(system)[0]
    assert names(system) == {one.name for one in STAGES[0]}


@needs_hivex
@pytest.mark.parametrize("make", [make_new, make_old])
def test_two_hundred_mutations_of_hive_and_log_lose_nothing_silently(
    states: list[bytes], make: Callable[[bytes, bytes], bytes]
) -> None:
    before, worm, _later = states
    hive, log = dirty_hive(before, AWAITED), make(before, worm)
    chance = random.Random(20170512)
    pairs = [(hive, damaged) for damaged in mutations(log, chance, 100)]
    pairs += [(damaged, log) for damaged in mutations(hive, chance, 100)]
    whole, lost = {one.name for one in STAGES[1]}, 0
    for number, pair in enumerate(pairs):
        system = parsed(*pair)
        if not names(system) >= whole:
            lost += 1
            assert [gap for gap in system.gaps if gap.material] != [], number
    assert lost > 20


@settings(max_examples=200)
@given(st.binary(max_size=6000), st.sampled_from([1, 6]), st.sampled_from([b"DIRT", b"HvLE", b""]))
def test_any_bytes_behind_a_right_header_are_read_without_error(body: bytes, file_type: int, signature: bytes) -> None:
    hive = empty_hive()
    log = with_sequences(hive, 1, 1, file_type=file_type)[:512] + signature + body
    result = replay(dirty_hive(hive, 1), WHERE, [log_file(log)])
    assert result.applied > 0 or [gap.material for gap in result.gaps] == [True]


@needs_hivex
def test_command_takes_the_logs_beside_the_file(states: list[bytes], tmp_path: Path) -> None:
    before, worm, later = states
    hive, log1 = tmp_path / "SYSTEM", tmp_path / "system.LOG1"
    hive.write_bytes(dirty_hive(before, AWAITED))
    alone = here("hive", hive)
    assert alone.code == ExitCode.INCONCLUSIVE
    log1.write_bytes(make_new(before, worm))
    shown = here("hive", hive)
    assert shown.code == ExitCode.INDICATORS_FOUND
    assert "HIGH worm-service [after-replay]: ControlSet001\\Services\\mssecsvc2.0" in shown.out
    assert "without its logs: 13 keys, 25 values" in shown.out
    assert "replayed from its logs, entries 7 to 7" in shown.err
    other = tmp_path / "elsewhere"
    other.write_bytes(make_new(before, later))
    assert "control set 1: 34 services" in here("hive", hive, "--log", other).out
    assert here("hive", hive, "--log", tmp_path / "none").code == ExitCode.FATAL
    assert (hive.read_bytes(), log1.read_bytes()) == (dirty_hive(before, AWAITED), make_new(before, worm))


def test_hive_that_is_none_is_refused_with_its_log() -> None:
    with pytest.raises(ArtefactError, match="not a registry hive"):
        examine_hive_file(b"text" * 4096, "notes.txt", [log_file(b"text" * 4096)])

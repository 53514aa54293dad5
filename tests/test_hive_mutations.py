"""Hives with settings, damaged: each setting of the sound hive is still told, or a gap tells that something is missing.

Names and data of values have no checksum in the format. One that differs in its name or in its data alone is told as
what it says now; of a setting that is told neither under its name nor with its data, a gap must tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.lab.hive_logs import dirty_hive, new_log, old_log, with_sequences
from tests.lab.hives import HIVE_TOOL, software_hive, user_hive
from tests.mutations import mutations, patched
from tests.needs import needs_tool
from triage.artefacts.hive import open_or_gap
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.settings import Setting, read_settings
from triage.model.gap import Gap, Where

pytestmark = needs_tool(HIVE_TOOL)

AWAITED = 7
BINS_AT = 4096
COMMAND = r'"C:\ProgramData\xjzilhxs261\tasksche.exe"'
RUN = r"Microsoft\Windows\CurrentVersion\Run"
WALLPAPER = r"C:\Users\alice\Desktop\@WanaDecryptor@.bmp"
WHERE = Where(path="hive")

Settings = frozenset[tuple[str, str, str]]


def software(path: Path, *, infected: bool) -> bytes:
    mine = {"WanaCrypt0r": {"wd": "C:\\w"}, r"Wow6432Node\WanaCrypt0r": {"wd": "C:\\w"}} if infected else {}
    run = {"xjzilhxs261": COMMAND, "Tray": "tray.exe"} if infected else {"Tray": "tray.exe"}
    software_hive(path, settings={RUN: run, **mine})
    return with_sequences(path.read_bytes(), AWAITED, AWAITED)


def user(path: Path, *, infected: bool) -> bytes:
    run = {rf"Software\{RUN}": {"xjzilhxs261": COMMAND, "Cloud": "cloud.exe"}}
    mine = {r"Control Panel\Desktop": {"Wallpaper": WALLPAPER}, r"Software\WanaCrypt0r": {"wd": "C:\\w"}, **run}
    user_hive(path, mine if infected else {})
    return with_sequences(path.read_bytes(), AWAITED, AWAITED)


Make = Callable[..., bytes]
HIVES = pytest.mark.parametrize("make", [software, user])


def told(hive: bytes, *logs: bytes) -> tuple[Settings, Sequence[Gap]]:
    """Return what a hive says, as (key, name, text), and what is open about it."""
    files = [LogFile(where=Where(path=f"hive.LOG{number}"), data=log) for number, log in enumerate(logs, start=1)]
    opened = open_or_gap(hive, WHERE, files)
    if isinstance(opened, Gap):
        return frozenset(), (opened,)
    settings = read_settings(opened)
    found = (*settings.run_values, *settings.work_directories, *settings.desktop)
    return frozenset(map(_said, found)), [gap for gap in opened.gaps if gap.material]


def _said(setting: Setting) -> tuple[str, str, str]:
    return setting.key_path.casefold(), setting.name, setting.text


def missing(sound: Settings, found: Settings) -> Settings:
    """Return what is told neither under its name nor with its data."""
    names, texts = {one[:2] for one in found}, {(one[0], one[2]) for one in found}
    return frozenset(one for one in sound if one[:2] not in names and (one[0], one[2]) not in texts)


@HIVES
def test_four_hundred_mutations_of_a_hive_lose_no_setting_silently(make: Make, tmp_path: Path) -> None:
    hive = make(tmp_path / "hive", infected=True)
    sound, open_gaps = told(hive)
    assert (len(sound), open_gaps) == (4, [])
    lost = 0
    for number, damaged in enumerate(mutations(hive, random.Random(20170512), 400)):
        found, gaps = told(damaged)
        if missing(sound, found):
            lost += 1
            assert gaps != [], number
    assert lost > 80


@HIVES
def test_no_byte_of_a_hive_loses_a_setting_silently(make: Make, tmp_path: Path) -> None:
    hive = make(tmp_path / "hive", infected=True)
    sound, _gaps = told(hive)
    chance, lost = random.Random(20170512), 0
    for at in range(BINS_AT, len(hive)):
        if hive[at] == 0:
            continue
        found, gaps = told(patched(hive, at, bytes([hive[at] ^ 1 << chance.randrange(8)])))
        if missing(sound, found):
            lost += 1
            assert gaps != [], (at, hive[at - 16 : at + 16])
    assert lost > 200


@HIVES
@pytest.mark.parametrize("log_of", [new_log, old_log])
def test_two_hundred_mutations_of_hive_and_log_lose_no_setting_silently(
    make: Make, log_of: Callable[..., bytes], tmp_path: Path
) -> None:
    before, later = make(tmp_path / "hive", infected=False), make(tmp_path / "hive", infected=True)
    hive = dirty_hive(before, AWAITED)
    log = new_log([before, later], AWAITED) if log_of is new_log else old_log(before, later, AWAITED)
    sound, open_gaps = told(hive, log)
    assert (len(sound), open_gaps) == (4, [])
    chance, lost = random.Random(20170512), 0
    pairs = [(hive, damaged) for damaged in mutations(log, chance, 100)]
    pairs += [(damaged, log) for damaged in mutations(hive, chance, 100)]
    for number, pair in enumerate(pairs):
        found, gaps = told(*pair)
        if missing(sound, found):
            lost += 1
            assert gaps != [], number
    assert lost > 10


@pytest.mark.parametrize(
    ("offset", "content", "problem"),
    [
        (0, b"xx", "no value record where the list points"),
        (2, b"\xff\x7f", "its name does not fit into its cell"),
        (4, b"\xff\xff\x00\x00", "its data do not fit into their cell"),
        (8, b"\xf0\xff\xff\x7f", "its data do not fit into their cell"),
    ],
)
def test_a_value_that_contradicts_itself_is_told(tmp_path: Path, offset: int, content: bytes, problem: str) -> None:
    hive = user(tmp_path / "hive", infected=True)
    at = hive.index(b"xjzilhxs261") - 20
    _found, gaps = told(patched(hive, at + offset, content))
    assert any(gap.detail.endswith(problem) for gap in gaps), gaps

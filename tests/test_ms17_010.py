"""The table of fixed versions is the published one, and says of every version what its rows say."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.indicators.ms17_010 import FIXES_CSV, load_fixes
from triage.model.errors import IndicatorError

FACTS_VARIABLE = "TRIAGE_TEST_FACTS"
TABLE = load_fixes()
FIRST_FIXED = [  # as the advisory's script has them, by hand
    (5, 1, 2600, 7208),
    (5, 2, 3790, 6021),
    (6, 0, 6002, 19743),
    (6, 0, 6002, 24067),
    (6, 1, 7601, 23689),
    (6, 2, 9200, 22099),
    (6, 3, 9600, 18604),
    (10, 0, 10240, 17319),
    (10, 0, 10586, 839),
    (10, 0, 14393, 953),
]


@pytest.mark.skipif(FACTS_VARIABLE not in os.environ, reason=f"needs {FACTS_VARIABLE}")
def test_shipped_table_equals_the_published_csv() -> None:
    path = Path(os.environ[FACTS_VARIABLE])
    path = path if path.is_dir() else path.parent
    assert FIXES_CSV.read_bytes() == (path / "ms17_010.csv").read_bytes()


@pytest.mark.parametrize("version", FIRST_FIXED)
def test_first_fixed_version_of_each_line_and_the_one_before(version: tuple[int, int, int, int]) -> None:
    *line, revision = version
    before = line[0], line[1], line[2], revision - 1
    assert (TABLE.is_fixed(version), TABLE.is_fixed(before)) == (True, False)
    assert TABLE.needed(before) == ".".join(map(str, version))


def test_branches_of_vista_are_held_against_their_own_minimum() -> None:
    assert [TABLE.is_fixed((6, 0, 6002, revision)) for revision in (19742, 19743, 19999, 20000, 24066, 24067)] == [
        *(False, True, True),
        *(False, False, True),
    ]


def test_windows_7_without_its_service_pack_was_never_fixed() -> None:
    assert TABLE.is_fixed((6, 1, 7600, 65535)) is False
    assert TABLE.needed((6, 1, 7600, 16385)) == ""


def test_what_came_later_is_fixed_and_what_is_not_listed_is_not_known() -> None:
    assert [TABLE.is_fixed(one) for one in ((10, 0, 15063, 0), (10, 0, 19041, 1), (11, 0, 1, 0))] == [True] * 3
    assert [TABLE.is_fixed(one) for one in ((5, 0, 2195, 9), (6, 0, 6001, 18000), (10, 0, 14901, 0))] == [None] * 3


def test_security_only_updates_of_april_2017_do_not_hold_the_fix() -> None:
    without = {name for updates in TABLE.updates.values() for name, holds in updates.items() if not holds}
    assert without == {"KB4015546", "KB4015547", "KB4015548"}
    assert TABLE.holds("KB4015549", (6, 1, 7601, 0)) is True


def test_updates_count_for_their_own_product_line_only() -> None:
    assert TABLE.holds("KB4012212", (6, 1, 7601, 0)) is True
    assert [TABLE.holds("KB4012212", one) for one in ((6, 1, 7600, 0), (6, 3, 9600, 0), None)] == [None] * 3
    old = ((5, 1, 2600, 0), (5, 2, 3790, 0), (6, 0, 6002, 0), (6, 2, 9200, 0))
    assert [TABLE.holds("KB4012598", one) for one in old] == [True] * 4
    assert [one for one in TABLE.minimum if TABLE.was_never_fixed((*one, 0))] == [(6, 1, 7600)]


def _rows() -> list[tuple[tuple[int, ...], list[tuple[int, str]]]]:
    """Read the CSV in another way: product lines and the revisions named for them."""
    with FIXES_CSV.open(newline="", encoding="utf-8") as file:
        return [
            (
                tuple(map(int, row["nt_version"].rstrip("+").split("."))),
                [
                    (int(word.rsplit(".", 1)[1]), "LDR" if "LDR" in part else "GDR" if "GDR" in part else "")
                    for part in row["srv_sys_min_version"].split("/")
                    for word in part.split()
                    if word.count(".") == 3
                ],
            )
            for row in csv.DictReader(file)
            if not row["nt_version"].endswith("+")
        ]


@given(st.sampled_from(_rows()), st.integers(0, 40000))
def test_any_version_against_the_rows(row: tuple[tuple[int, ...], list[tuple[int, str]]], revision: int) -> None:
    (major, minor, build), needed = row
    branch = "LDR" if revision >= 20000 else "GDR"
    minimum = [number for number, of in needed if of in ("", branch)]
    assert TABLE.is_fixed((major, minor, build, revision)) is (minimum != [] and revision >= minimum[0])


def test_table_that_is_none_is_refused(tmp_path: Path) -> None:
    lines = FIXES_CSV.read_text(encoding="utf-8").splitlines()
    (tmp_path / "bad.csv").write_text("\n".join([lines[0], re.sub(r"5\.1\.2600", "XP", lines[1], count=1)]))
    with pytest.raises(IndicatorError, match=r"bad\.csv, line 2"):
        load_fixes(tmp_path / "bad.csv")

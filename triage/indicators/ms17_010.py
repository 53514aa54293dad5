"""Which version of srv.sys closes MS17-010, and which updates bring it: one table, taken as published.

Versions are Microsoft's own (script of KB4023262) and Tenable's; the CSV names the sources row by row. Windows Vista
has two branches of one file: revisions from 20000 on are LDR (hotfixes too), those below GDR.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

from msgspec import Struct

from triage.model.errors import IndicatorError
from triage.model.exposure_facts import Version

FIXES_CSV = Path(__file__).resolve().parent / "data" / "ms17_010.csv"
FIX_PUBLISHED_UTC = "2017-03-14"
LDR_REVISION = 20000

Line = tuple[int, int, int]
_LINE = re.compile(r"(\d+)\.(\d+)\.(\d+)(\+?)", re.ASCII)
_MINIMUM = re.compile(r"\d+\.\d+\.\d+\.(\d+)(?: \((GDR|LDR)\b)?", re.ASCII)


class Minimum(Struct, frozen=True, kw_only=True):
    """The first revision of srv.sys that holds the fix, in each branch; None where none was ever made."""

    gdr: int | None = None
    ldr: int | None = None

    def of(self, revision: int) -> int | None:
        """Return the minimum of the branch to which a revision belongs."""
        return self.ldr if revision >= LDR_REVISION else self.gdr


class FixTable(Struct, frozen=True, kw_only=True):
    """`minimum` by product line (major, minor, build); lines from `fixed_from` on were released with the fix.

    `updates` says of each product line's updates by name (`KB4012212`) whether the fix is in them.
    """

    minimum: dict[Line, Minimum]
    fixed_from: Line
    updates: dict[Line, dict[str, bool]]

    @property
    def update_names(self) -> frozenset[str]:
        """The updates that tell something, on whichever Windows."""
        return frozenset(name for of_line in self.updates.values() for name in of_line)

    def holds(self, name: str, windows: Version | None) -> bool | None:
        """Say whether an update brings the fix to a Windows; None where it is not one of that product line's."""
        return None if windows is None else self.updates.get(windows[:3], {}).get(name)

    def was_never_fixed(self, windows: Version) -> bool:
        """Whether a Windows is of a product line that no fix was ever made for."""
        return self.minimum.get(windows[:3]) == Minimum()

    def is_fixed(self, version: Version) -> bool | None:
        """Say whether a version holds the fix; None where its product line is not in the table."""
        line = version[:3]
        if line >= self.fixed_from:
            return True
        if line not in self.minimum:
            return None
        needed = self.minimum[line].of(version[3])
        return needed is not None and version[3] >= needed

    def needed(self, version: Version) -> str:
        """Return the first fixed version of a version's line and branch as text; empty where there is none."""
        minimum = self.minimum.get(version[:3])
        needed = None if minimum is None else minimum.of(version[3])
        return "" if needed is None else ".".join(map(str, (*version[:3], needed)))


@cache
def load_fixes(path: Path = FIXES_CSV) -> FixTable:
    """Read the table. IndicatorError where the file is not in its form."""
    minimum: dict[Line, Minimum] = {}
    updates: dict[Line, dict[str, bool]] = {}
    fixed_from: list[Line] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            line = _LINE.fullmatch(row["nt_version"])
            if line is None:
                raise IndicatorError(f"{path.name}, line {number}: no product line")
            product = int(line[1]), int(line[2]), int(line[3])
            if line[4]:
                fixed_from.append(product)
            else:
                minimum[product] = _minimum(row["srv_sys_min_version"])
            if row["kb"]:
                updates.setdefault(product, {})[row["kb"]] = row["contains_ms17_010"] == "yes"
    return FixTable(minimum=minimum, fixed_from=min(fixed_from), updates=updates)


def _minimum(text: str) -> Minimum:
    """Read `6.1.7601.23689`, `6.0.6002.19743 (GDR) / 6.0.6002.24067 (LDR, …)`, or words for none."""
    revisions = {branch: int(revision) for revision, branch in _MINIMUM.findall(text)}
    one = revisions.get("")
    return Minimum(gdr=revisions.get("GDR", one), ldr=revisions.get("LDR", one))

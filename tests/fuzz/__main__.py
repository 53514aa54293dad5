"""`python -m tests.fuzz --cases N --state FOLDER`: examines damaged disks 0 to N-1; goes on where it ended before.

`--case N` tries one again, in this process, and tells what was done to its disk. The templates are built by mkntfs,
ntfs-3g, hivex and wimlib, as root. Exit code 1 where something did not hold; FOLDER/results.jsonl names it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.fuzz.mutations import mutate
from tests.fuzz.run import Ended, Runner
from tests.fuzz.templates import build

_TEMPLATES, _RESULTS = "templates", "results.jsonl"
_SHARED_MEMORY = Path("/dev/shm")
_SHOWN = 40


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--state", type=Path, help="keeps templates and results; without it nothing is kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases at a time")
    parser.add_argument("--case", type=int, help="one case alone")
    parser.add_argument("--keep", type=Path, help="with --case: where to write its disk")
    arguments = parser.parse_args()
    place = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="triage-fuzz-", dir=place) as scratch:
        state = arguments.state or Path(scratch)
        templates = build(state / _TEMPLATES)
        if arguments.case is not None:
            mutant = mutate(templates, arguments.case)
            print(f"template {mutant.template}", *mutant.story, sep="\n  ")
            if arguments.keep is not None:
                arguments.keep.write_bytes(mutant.disk)
        with Runner(templates, Path(scratch)) as runner:
            if arguments.case is not None:
                return _tell([runner.examine(arguments.case, mutant)])
            return _run(runner, state / _RESULTS, arguments.cases, arguments.jobs)


def _run(runner: Runner, results: Path, cases: int, jobs: int) -> int:
    """Run the cases that have no result yet."""
    known = _known(results)
    left = [case for case in range(cases) if case not in known]
    with results.open("ab", buffering=0) as file:
        for ended in runner.run(left, jobs):
            file.write(msgspec.json.encode(ended) + b"\n")
            known[ended.case] = ended
            if ended.problems:
                _show(ended)
    return _tell([ended for case, ended in known.items() if case < cases])


def _known(results: Path) -> dict[int, Ended]:
    """Return the results that are there; a last line that was cut off is dropped, its case is run again."""
    if not results.exists():
        return {}
    whole = results.read_bytes().rpartition(b"\n")[0]
    results.write_bytes(whole + b"\n" if whole else b"")
    return {ended.case: ended for ended in (msgspec.json.decode(line, type=Ended) for line in whole.splitlines())}


def _tell(cases: Iterable[Ended]) -> int:
    """Sum up; return the exit code."""
    cases = list(cases)
    failed = [ended for ended in cases if ended.problems]
    outcomes = Counter(ended.outcome or "broke down" for ended in cases)
    seconds, peaks = [ended.cpu_seconds for ended in cases], [ended.peak_bytes for ended in cases]
    print(f"{len(cases)} cases, {len(failed)} failed:", ", ".join(f"{n} {what}" for what, n in outcomes.most_common()))
    print(f"{sum(seconds):.0f} CPU seconds, at most {max(seconds):.1f} and {max(peaks) / 1e6:.0f} MB in one case")
    for ended in sorted(failed, key=lambda one: one.case)[:_SHOWN]:
        _show(ended)
    return 1 if failed else 0


def _show(ended: Ended) -> None:
    print(f"case {ended.case} ({ended.template}): {'; '.join(ended.problems)[:400]}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; with --state the same command goes on")

"""The documentation says what the program does: options, links, tables and keys are held against the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from triage.cli import triage
from triage.model.change import JournalSummary
from triage.model.entry import StreamForm, StreamState
from triage.model.errors import ExitCode
from triage.model.event import Event, EventKind, EventSource
from triage.model.evidence import Evidence, WriteProof
from triage.model.exposure import Check, ControlSetRole, Exposure, ExposureRow, ExposureVerdict
from triage.model.finding import Finding, FindingKind
from triage.model.gap import Gap, GapKind, Where
from triage.model.indicator import IndicatorSet
from triage.model.ledger import ExcludedFolder, VolumeLedger
from triage.model.report import CaseInfo, Coverage, Reconciliation, Report, RescueSummary, Tool
from triage.model.rescue import RescueOutcome
from triage.model.timeline import (
    ClockDoubt,
    DoubtKind,
    EncryptionRate,
    GoldenHours,
    Milestone,
    MilestoneKind,
    Timeline,
)
from triage.model.verdict import Bearing, Phase, Special, SpecialCase, Stage, StageJudgement, StageSign, Verdict
from triage.model.volume import VolumeInfo, WindowsInfo
from triage.report.case import RENDERERS
from triage.verdict.dating import READINGS
from triage.verdict.materiality import MATERIAL
from triage.verdict.signs import SIGNS
from triage.verdict.stage import PHASES, STAGE_NAMES

_CONTEXT = click.Context(triage)
COMMANDS = {name: command for name in triage.list_commands(_CONTEXT) if (command := triage.get_command(_CONTEXT, name))}
PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
LIVE_USB = PROJECT / "live-usb"
FUZZ = PROJECT / "tests" / "fuzz" / "__main__.py"
PAGES = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
BILINGUAL = ("quickstart-responder", "quickstart-analyst", "quickstart-recovery", "live-usb")

# Options of other programs that the pages name.
_FOREIGN_OPTIONS = {"--validate", "--setrw", "--check"}
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_COMMAND = re.compile(r"(?:^|\s)triage (?:--lang \S+ )?([a-z]+) ([^|>&\n`]*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def method() -> str:
    return read(DOCS / "method.md")


def forms_of(command: click.Command) -> Iterator[tuple[str, ...]]:
    """Yield each option of a command as its forms; help has two."""
    for parameter in command.get_params(click.Context(command)):
        if isinstance(parameter, click.Option):
            yield (*parameter.opts, *parameter.secondary_opts)


def options_of(command: click.Command) -> set[str]:
    return {form for forms in forms_of(command) for form in forms}


def rows_of(text: str, *header: str) -> list[list[str]]:
    """Return the rows of the one table with this header, cells stripped."""
    lines = iter(text.splitlines())
    wanted = "| " + " | ".join(header) + " |"
    assert wanted in text, f"no table {wanted}"
    for line in lines:
        if line == wanted:
            break
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    known = options_of(triage).union(*map(options_of, COMMANDS.values())) | _FOREIGN_OPTIONS
    for program in (LIVE_USB / "build", LIVE_USB / "write-stick", FUZZ):
        known |= set(_OPTION.findall(read(program)))
    assert set(_OPTION.findall(read(page))) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_of_a_page_fits_its_command(page: Path) -> None:
    for code in _CODE.findall(read(page)):
        for name, arguments in _COMMAND.findall(code.strip("`")):
            assert name in COMMANDS, f"triage {name}"
            assert set(_OPTION.findall(arguments)) - options_of(COMMANDS[name]) == set(), f"triage {name}"


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_option_of_a_command_is_documented(name: str) -> None:
    code = "\n".join(code for page in PAGES for code in _CODE.findall(read(page)))
    command = COMMANDS[name] if name else triage
    missing = [
        forms
        for forms in forms_of(command)
        if not any(re.search(rf"(?<![\w-]){form}(?![\w-])", code) for form in forms)
    ]
    assert missing == []


def test_every_command_is_documented() -> None:
    text = "\n".join(map(read, PAGES))
    assert [name for name in COMMANDS if f"triage {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page: Path) -> None:
    for target in _LINK.findall(read(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors_of(linked), target


@pytest.mark.parametrize("page", BILINGUAL)
def test_guides_stand_in_both_languages(page: str) -> None:
    english, chinese = read(DOCS / f"{page}.md"), read(DOCS / f"{page}.zh.md")
    assert f"]({page}.zh.md)" in english
    assert f"]({page}.md)" in chinese
    headings = re.compile(r"^##+ ", re.MULTILINE)
    assert len(headings.findall(english)) == len(headings.findall(chinese))
    assert len(re.findall(r"[\u4e00-\u9fff]", chinese)) > 800
    assert english.count("```sh") == chinese.count("```sh")


def test_table_of_signs_is_that_of_the_code() -> None:
    rows = rows_of(method(), "Stage", "Sign", "By", "Findings", "Always", "Published by")
    assert all(source for *_cells, source in rows)
    assert [row[:5] for row in rows] == [
        [
            "–" if sign.stage is None else str(int(sign.stage)),
            sign.name,
            sign.kind.value,
            ", ".join(sign.indicators) or "all",
            "yes" if sign.certain else "no",
        ]
        for sign in SIGNS
    ]


def test_stages_and_phases_are_those_of_the_code() -> None:
    rows = rows_of(method(), "Stage", "Name", "What it means", "Phase")
    told = {Stage(int(number)): (name, phase) for number, name, _meaning, phase in rows}
    assert told == {stage: (STAGE_NAMES[stage], PHASES[stage].value if stage in PHASES else "–") for stage in Stage}


def test_every_special_case_is_explained() -> None:
    rows = rows_of(method(), "Case", "Recognised by (`triage/verdict/special.py`)")
    assert [name.strip("`") for name, _how in rows] == list(SpecialCase)


def test_dating_table_is_that_of_the_code() -> None:
    """Kinds, events and times; which of a kind's findings a row is for, the table tells in words."""
    told = {
        (kind, event, tuple(re.findall(r"`(\w+)`", times.replace("`run_1` to `run_8`", "`run_n`"))))
        for kinds, _which, times, event in rows_of(method(), "Finding", "Which", "Its times", "Event")
        for kind in kinds.split(", ")
    }
    assert told == {
        (
            row.finding.value,
            row.event.value,
            tuple(dict.fromkeys(re.sub(r"run_\d", "run_n", name) for name in row.times)),
        )
        for row in READINGS
        if row.event is not None
    }


def test_every_doubt_about_the_clock_is_explained() -> None:
    assert {kind for kind, _when in rows_of(method(), "Doubt", "When")} == set(DoubtKind)


def test_materiality_table_is_that_of_the_code() -> None:
    rows = rows_of(method(), "Gap", "Material", "When")
    assert {kind: {"yes": True, "no": False}[material] for kind, material, _ in rows} == {
        kind.value: material for kind, material in MATERIAL.items()
    }
    assert len(MATERIAL) == len(GapKind)


def test_exposure_table_is_that_of_the_code() -> None:
    rows = rows_of(method(), "Check", "What is read", "Open", "Closed", "Published by")
    assert [row[0] for row in rows] == [check.value for check in Check]
    assert all(all(row) for row in rows)
    assert [role for role in ControlSetRole if f"`{role}`" not in method()] == []


def test_every_key_of_the_report_is_explained() -> None:
    text = read(DOCS / "report.md")
    structs = (
        *(Report, Tool, IndicatorSet, CaseInfo, Evidence, WriteProof, VolumeInfo, WindowsInfo),
        *(Finding, Where, Gap, Coverage, Reconciliation, Verdict, RescueSummary),
        *(VolumeLedger, ExcludedFolder, Exposure, ExposureRow, JournalSummary, StageJudgement, StageSign, Special),
        *(Timeline, Milestone, EncryptionRate, GoldenHours, ClockDoubt, Event),
    )
    keys = {field for struct in structs for field in struct.__struct_fields__}
    explained = set(re.findall(r"[a-z0-9_]+", " ".join(_CODE.findall(text))))
    assert sorted(keys - explained) == []


def test_every_value_has_its_word() -> None:
    report, recovery = read(DOCS / "report.md"), read(DOCS / "quickstart-recovery.md")
    values = [
        *FindingKind,
        *StreamState,
        *StreamForm,
        *RescueOutcome,
        *EventKind,
        *EventSource,
        *MilestoneKind,
        *DoubtKind,
        *Check,
        *ExposureVerdict,
        *Bearing,
        *Phase,
        *SpecialCase,
    ]
    assert [value for value in values if f"`{value}`" not in report] == []
    outcomes = rows_of(recovery, "Outcome", "Copied", "Meaning", "What to do")
    assert sorted(row[0].strip("`") for row in outcomes) == sorted(outcome.value for outcome in RescueOutcome)


def test_every_file_of_a_case_and_every_exit_code_is_explained() -> None:
    text = read(DOCS / "report.md")
    assert [one.file_name for one in RENDERERS if f"| `{one.file_name}` |" not in text] == []
    assert {int(row[0]) for row in rows_of(text, "Code", "`run`, `hive`", "`demo`, `list`, `ls`, `cat`, `verify`")} == {
        int(code) for code in ExitCode
    }


def test_the_live_system_has_every_library() -> None:
    """Its list is one of exact versions, installed without what each of them needs."""
    top = DOCS.parent
    project = tomllib.loads(read(top / "pyproject.toml"))["project"]
    needed = {re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]}
    lines = read(top / "live-usb" / "requirements.txt").splitlines()
    assert needed - {line.split("==")[0] for line in lines if not line.startswith("#")} == set()

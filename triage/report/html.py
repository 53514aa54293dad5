"""`report.html`: the case for people, one file that needs nothing else, on a screen, a phone or paper."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TextIO

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from triage.model.escape import escape_terminal
from triage.model.profile import Profile
from triage.model.text import _, language, ngettext
from triage.report import view, words
from triage.report.interface import CaseContents, Renderer
from triage.report.text import quick_line

_TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE = "report.html.j2"
_STYLE = "report.css"
_REASONS_SHOWN = 10


def write_html(case: CaseContents, out: TextIO) -> None:
    """Write the report in the chosen language."""
    report = case.report
    style = (_TEMPLATES / _STYLE).read_text(encoding="utf-8")
    shown, more = view.reasons(report, _REASONS_SHOWN)
    template = _environment().get_template(_TEMPLATE)
    pieces = template.generate(
        report=report,
        fingerprint=case.fingerprint,
        language=language(),
        style=Markup(style),  # noqa: S704  # our own file
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        headline=words.headline(report.verdict.outcome, view.families(report.findings)),
        reasons=shown,
        more_reasons=more,
        severities=view.count_severities(report.findings),
        finding_groups=view.group_findings(report.findings),
        gap_groups=view.group_gaps(report.gaps),
        equations=view.equations(report.coverage.reconciliation),
        quick_line=quick_line(report) if report.case.profile is Profile.QUICK else "",
    )
    out.writelines(pieces)


def _environment() -> Environment:
    """Jinja2 with escaping on, and our words and forms as filters."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_=_, ngettext=ngettext, words=words)
    environment.filters.update(
        content_bytes=view.content_bytes,
        grounds=words.grounds,
        is_whole=view.is_whole,
        kept_from=words.kept_from,
        moment=words.moment,
        not_kept_from=words.not_kept_from,
        number=words.number,
        percent=words.percent,
        place=view.place,
        say=words.say,
        size=words.size,
        width=words.width,
    )
    return environment


def _finalize(value: object) -> object:
    """Make visible in a text what a reader would not see; markup is our own."""
    return escape_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


HTML = Renderer(file_name="report.html", write=write_html)

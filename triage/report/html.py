"""`report.html`: the case for people, one file that needs nothing else, on a screen, a phone or paper."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TextIO

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from triage.model.escape import escape_terminal
from triage.model.profile import Profile
from triage.model.text import _, language, ngettext
from triage.report import timeline_words, view, words
from triage.report.interface import CaseContents, Renderer
from triage.report.text import quick_line
from triage.report.timeline_svg import draw

_TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE = "report.html.j2"
_TIMELINE = "timeline.html.j2"  # part of the report
CLEANUP_TEMPLATE = "cleanup.html.j2"
_STYLE = "report.css"
_REASONS_SHOWN = 10


def write_html(case: CaseContents, out: TextIO) -> None:
    """Write the report in the chosen language."""
    report = case.report
    shown, more = view.reasons(report, _REASONS_SHOWN)
    pieces = page(_TEMPLATE).generate(
        report=report,
        fingerprint=case.fingerprint,
        headline=words.headline(report.verdict.outcome, view.families(report.findings)),
        reasons=shown,
        more_reasons=more,
        severities=view.count_severities(report.findings),
        finding_groups=view.group_findings(report.findings),
        gap_groups=view.group_gaps(report.gaps),
        drawing=draw(report.timeline),
        rows_shown=view.ROWS_SHOWN,
        equations=view.equations(report.coverage.reconciliation),
        quick_line=quick_line(report) if report.case.profile is Profile.QUICK else "",
    )
    out.writelines(pieces)


def prepare_pages() -> None:
    """Translate the templates to Python now: it takes a while, and a case at its end is waited for."""
    for template in (_TEMPLATE, _TIMELINE, CLEANUP_TEMPLATE):
        page(template)


def page(template: str) -> Template:
    """Return a template with our style, translated once."""
    return _environment().get_template(template)


@cache
def _environment() -> Environment:
    """Jinja2 with escaping on; our words and forms are filters."""
    style = (_TEMPLATES / _STYLE).read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        _=_,
        ngettext=ngettext,
        words=words,
        words_of_time=timeline_words,
        language=language,
        style=Markup(style),  # noqa: S704  # our own file
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )
    environment.filters.update(
        clock=words.clock,
        content_bytes=view.content_bytes,
        doubt_line=timeline_words.doubt_line,
        duration=timeline_words.duration,
        found=words.found,
        golden_line=timeline_words.golden_line,
        grounds=words.grounds,
        is_whole=view.is_whole,
        kept_from=words.kept_from,
        moment=words.moment,
        not_kept_from=words.not_kept_from,
        number=words.number,
        percent=words.percent,
        place=view.place,
        rate_line=timeline_words.rate_line,
        say=words.say,
        size=words.size,
        width=words.width,
    )
    return environment


def _finalize(value: object) -> object:
    """Make visible in a text what a reader would not see; markup is our own."""
    return escape_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


HTML = Renderer(file_name="report.html", write=write_html)

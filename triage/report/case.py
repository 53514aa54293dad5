"""Writes a case folder: one document, many renderers.

A further file in the case is one new module with a `Renderer` and one line in `RENDERERS`.
"""

from __future__ import annotations

from pathlib import Path

from triage.report.changes import CHANGES
from triage.report.cleanup_page import CLEANUP
from triage.report.cleanup_script import SCRIPT
from triage.report.deleted import DELETED
from triage.report.document import DOCUMENT
from triage.report.durable import durable_text
from triage.report.excluded import EXCLUDED
from triage.report.findings import FINDINGS
from triage.report.hashdeep import HASHDEEP
from triage.report.html import HTML
from triage.report.interface import CaseContents, Renderer
from triage.report.timeline_files import BODYFILE, TIMELINE

RENDERERS: tuple[Renderer, ...] = (
    DOCUMENT,
    HTML,
    FINDINGS,
    HASHDEEP,
    EXCLUDED,
    DELETED,
    CHANGES,
    CLEANUP,
    SCRIPT,
    TIMELINE,
    BODYFILE,
)


def write_case(folder: Path, case: CaseContents) -> None:
    """Write every file of the case but the seal, each durable. Errors: `ReportError`, a full disk too."""
    for renderer in RENDERERS:
        with durable_text(folder / renderer.file_name) as out:
            renderer.write(case, out)

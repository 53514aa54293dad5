"""Writes a case folder: one document, many renderers.

A further file in the case is one new module with a `Renderer` and one line in `RENDERERS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triage.model.ledger import ExcludedFolder
from triage.model.report import Report, StreamDigest
from triage.report.document import DOCUMENT
from triage.report.durable import durable_text
from triage.report.excluded import EXCLUDED
from triage.report.findings import FINDINGS
from triage.report.hashdeep import HASHDEEP
from triage.report.html import HTML
from triage.report.interface import CaseContents, Renderer

RENDERERS: tuple[Renderer, ...] = (
    DOCUMENT,
    HTML,
    FINDINGS,
    HASHDEEP,
    EXCLUDED,
)


def write_case(
    folder: Path,
    report: Report,
    digests: Iterable[StreamDigest],
    fingerprint: str,
    *,
    excluded: Iterable[ExcludedFolder] = (),
) -> None:
    """Write every file of the case but the seal, each durable.

    `digests` and `excluded` are read once; `fingerprint` is that of the key that will seal. Errors: `ReportError`, a
    full disk too.
    """
    case = CaseContents(report=report, digests=digests, excluded=excluded, fingerprint=fingerprint)
    for renderer in RENDERERS:
        with durable_text(folder / renderer.file_name) as out:
            renderer.write(case, out)

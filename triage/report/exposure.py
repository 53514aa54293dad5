"""The exposure in lines of text: for the end of a run, and for `triage hive`."""

from __future__ import annotations

from collections.abc import Iterator

from triage.model.exposure import ControlSetRole, Exposure, ExposureRow
from triage.model.text import _
from triage.report.words import CHECKS, CONTROL_SETS, EXPOSURE_VERDICTS, found, say


def exposure_line(exposure: Exposure) -> str:
    """Return the answer for one Windows, on one line."""
    windows = exposure.windows if exposure.volume is None else f"{exposure.volume}/{exposure.windows}"
    verdict = say(exposure.verdict, EXPOSURE_VERDICTS).upper()
    reasons = _sentences(exposure.reasons)
    return _("MS17-010 ({windows}): {verdict}. {reasons}").format(windows=windows, verdict=verdict, reasons=reasons)


def exposure_table(exposure: Exposure) -> Iterator[str]:
    """Yield three lines for each row: what was found, what that means, and where it stands."""
    for row in exposure.rows:
        yield f"  [{say(row.verdict, EXPOSURE_VERDICTS)}] {_titled(row)}: {found(row)}"
        yield f"    {_sentences(row.reasons)}"
        yield f"    {row.source}"


def _sentences(reasons: tuple[str, ...]) -> str:
    return " ".join(map(_, reasons))


def _titled(row: ExposureRow) -> str:
    title = say(row.check, CHECKS)
    if row.control_set is None or row.control_set is ControlSetRole.CURRENT:
        return title
    return f"{title}, {say(row.control_set, CONTROL_SETS)}"

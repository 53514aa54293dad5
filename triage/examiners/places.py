"""Where and when a stream is, in the form in which findings and gaps carry it."""

from __future__ import annotations

from triage.model.entry import FileTimes, Subject
from triage.model.filetime import filetime_to_iso
from triage.model.gap import Where


def where_is(subject: Subject, offset_bytes: int | None = None) -> Where:
    """Return the place of a stream, or of one offset in it."""
    return Where(
        volume=subject.volume,
        path=subject.path,
        other_paths=subject.other_paths,
        stream=subject.stream or None,
        mft_entry=subject.mft_entry,
        offset_bytes=offset_bytes,
    )


def times_of(si: FileTimes | None, fn: FileTimes | None) -> dict[str, str]:
    """Return the times that are set as `si_created`, …, `fn_accessed` to ISO 8601."""
    found: dict[str, str] = {}
    for prefix, times in (("si", si), ("fn", fn)):
        if times is None:
            continue
        for name in ("created", "modified", "changed", "accessed"):
            moment = filetime_to_iso(getattr(times, name))
            if moment is not None:
                found[f"{prefix}_{name}"] = moment
    return found

"""A volume on one line: for `triage list` and the live screen, which must not wait for whole libraries."""

from __future__ import annotations

from tqdm import tqdm

from triage.model.text import _
from triage.model.volume import VolumeInfo


def volume_line(volume: VolumeInfo) -> str:
    """Return a volume on one line: its place, size, type and name, and whether it would be examined."""
    offset = _("offset {offset_bytes}").format(offset_bytes=volume.offset_bytes)
    size = tqdm.format_sizeof(volume.length_bytes, "B")
    partition = volume.partition
    kind = f"{partition.scheme.value} {partition.type_id}" if partition is not None else ""
    what = _("will be examined") if volume.examined else _("not examined: {why}").format(why=volume.why_not)
    label = f" «{volume.label}»" if volume.label else ""
    return f"{volume.id}  {offset}  {size}  {kind}  {volume.filesystem}{label}  {what}"

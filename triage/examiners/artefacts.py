"""The files in which Windows keeps traces, and who examines each: one table.

Hives are not among them: what they say hangs together, and they have logs (`examiners/registry.py`).
"""

from __future__ import annotations

import re

from triage.examiners.artefact_file import ArtefactFile
from triage.examiners.event_logs import examine_event_log
from triage.examiners.old_event_logs import examine_old_event_log
from triage.examiners.prefetch import examine_prefetch
from triage.examiners.program_caches import examine_recent_files
from triage.examiners.scheduled_tasks import examine_job_file, examine_task_file

_WINDOWS = r"(?:[^/]+|windows\.old[^/]*/[^/]+|.*/(?:windows|winnt))"
"""Any directory of the root, as for hives: a second Windows has the name that its installer was given. What an upgrade
moved aside. And one by its usual name anywhere, as in a backup."""

_CHANNEL = r"(?:archive-)?(?:system|security|microsoft-windows-windows defender%4operational)(?:-[0-9-]+)?"

ARTEFACT_FILES: tuple[ArtefactFile, ...] = (
    ArtefactFile(
        path=re.compile(rf"{_WINDOWS}/system32/winevt/logs/{_CHANNEL}\.evtx"),
        examine=examine_event_log,
        endings=(".evtx",),
        largest_bytes=16 << 30,
    ),
    ArtefactFile(
        path=re.compile(rf"{_WINDOWS}/system32/config/(?:sysevent|secevent)\.evt"),
        examine=examine_old_event_log,
        endings=(".evt",),
        largest_bytes=256 << 20,
    ),
    ArtefactFile(
        path=re.compile(rf"{_WINDOWS}/appcompat/programs/recentfilecache\.bcf"),
        examine=examine_recent_files,
        names=("recentfilecache.bcf",),
        largest_bytes=64 << 20,
    ),
    ArtefactFile(
        path=re.compile(rf"{_WINDOWS}/prefetch/[^/]*\.pf"),
        examine=examine_prefetch,
        endings=(".pf",),
        largest_bytes=16 << 20,
    ),
    ArtefactFile(
        path=re.compile(rf"{_WINDOWS}/(?:system32|syswow64)/tasks/.*"),
        examine=examine_task_file,
        folders=("tasks",),
        largest_bytes=1 << 20,
    ),
    ArtefactFile(
        path=re.compile(rf"{_WINDOWS}/tasks/[^/]*\.job"),
        examine=examine_job_file,
        endings=(".job",),
        largest_bytes=1 << 20,
    ),
)

"""What a renderer is: one file of the case, written from the one document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO

from msgspec import Struct

from triage.model.change import Change
from triage.model.deleted import DeletedStream
from triage.model.event import Event
from triage.model.ledger import ExcludedFolder
from triage.model.report import Report, StreamDigest


class CaseContents(Struct, frozen=True, kw_only=True):
    """What a renderer may show; `fingerprint` is of the key that will sign. What is iterable can be read once.

    `excluded` is what the profile left out, folder by folder. `events` are all of the timeline, in order, and can be
    read again.
    """

    report: Report
    fingerprint: str
    digests: Iterable[StreamDigest] = ()
    excluded: Iterable[ExcludedFolder] = ()
    deleted: Iterable[DeletedStream] = ()
    changes: Iterable[Change] = ()
    events: Iterable[Event] = ()


class Renderer(Struct, frozen=True, kw_only=True):
    """Writes one file of the case folder."""

    file_name: str
    write: Callable[[CaseContents, TextIO], None]

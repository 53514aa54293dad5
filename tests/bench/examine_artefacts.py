"""Examines hives, event logs and prefetch files of a bare NTFS image as the survey of a run does."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

from triage.evidence.open import open_evidence
from triage.examiners.artefact_file import Surroundings
from triage.examiners.programs import Known
from triage.indicators.load import load_indicators
from triage.model.event import Event
from triage.model.finding import Finding
from triage.model.gap import Gap
from triage.model.told import Notes
from triage.pipeline.artefacts import examine_artefacts
from triage.pipeline.registry import RegistrySurvey
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import Paths
from triage.walk.streams import Streams


def main() -> None:
    """Do what a run does of it, and count what is told."""
    told: Counter[str] = Counter()

    def count(one: Finding | Event | Gap) -> None:
        told[type(one).__name__] += 1

    with open_evidence(Path(sys.argv[1])) as source:
        volume = NtfsVolume(source, "v1")
        table = read_mft(volume)
        paths = Paths(table)
        streams = Streams(volume, table, paths)
        notes, indicators = Notes(count, count, count), load_indicators()
        if "--no-hives" not in sys.argv:
            RegistrySurvey(volume, table, paths, streams, indicators, notes).examine()
        known = Known(indicators.names, indicators.digests)
        surroundings = Surroundings(known, len(os.sched_getaffinity(0)))
        examine_artefacts(volume, table, paths, streams, surroundings, notes, lambda _row, _where: True)
    sys.stdout.write(f"{dict(told)}\n")


main()

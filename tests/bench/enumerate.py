"""Enumerates a bare NTFS image and counts its paths and streams; the process that is measured against `fls -r`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from triage.evidence.open import open_evidence
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import Paths
from triage.walk.reconcile import reconcile
from triage.walk.streams import Streams


def main() -> None:
    """Do what a run does before it reads anything: entries, paths, streams, both equations."""
    with open_evidence(Path(sys.argv[1])) as source:
        volume = NtfsVolume(source, "v1")
        table = read_mft(volume)
        paths = Paths(table)
        streams = Streams(volume, table, paths)
        count = sum(len(paths.of(entry)) for entry in np.flatnonzero(table.base).tolist())
        reconciliation, gaps = reconcile(volume, table, streams, 0)
    sys.stdout.write(f"{count} paths, {reconciliation}, {len(gaps)} gaps\n")


main()

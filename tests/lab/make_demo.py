"""Makes the data of `triage demo` anew: `python -m tests.lab.make_demo`, as root."""

from __future__ import annotations

import argparse
import lzma
import tempfile
from pathlib import Path

from tests.lab import standins
from tests.lab.disk import DiskSpec, build_disk
from tests.lab.odd import LookAlike
from tests.lab.tables import Layout
from triage.demo import DEMO_INDICATORS, PACKED_IMAGE
from triage.model.verdict import Stage

_LOOK_ALIKES = (LookAlike.PROGRAM, LookAlike.SERVICES, LookAlike.FOLDER, LookAlike.ENDINGS, LookAlike.QUOTES)
DEMO_SPEC = DiskSpec(
    stage=Stage.ENCRYPTING,
    layout=Layout.MBR,
    volume_bytes=24 * 1024 * 1024,
    label="DEMO",
    look_alikes=_LOOK_ALIKES,
)


def make_demo(packed: Path, indicators: Path) -> None:
    """Build the demonstration's disk, pack it, and write the indicator set of its stand-ins."""
    with tempfile.TemporaryDirectory() as folder:
        disk = build_disk(DEMO_SPEC, Path(folder, "pc.img"))
        packed.write_bytes(lzma.compress(disk.image.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    standins.write_indicators(indicators)


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="make_demo", description="Build the demonstration's disk anew. Needs root."
    ).parse_args()
    make_demo(PACKED_IMAGE, DEMO_INDICATORS)

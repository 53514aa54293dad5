"""`python -m tests.bench FOLDER`: builds its volumes in FOLDER, runs A and B alternately, prints ratios. Needs root.

Programs of Debian: ntfs-3g, sleuthkit, hashdeep, yara, libwin-hivex-perl, and tests/apt-packages-boot.txt. About 15 GB
of disk and 6 GB of memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.bench.artefact_files import build_artefacts
from tests.bench.disk_order import cost_of_orders
from tests.bench.floor import Floor
from tests.bench.live import LiveBench
from tests.bench.measure import alternate, drop_caches, peak_memory, ratios, run
from tests.bench.volumes import build_entries, build_files, mounted
from triage.examiners.yara_rules import OWN_RULES
from triage.model.errors import ExitCode

MEASUREMENTS = ("enumeration", "scale", "cold", "warm", "quick", "isolation", "disk-order", "live", "artefacts")
UNCONFINED = Path(__file__).with_name("unconfined")
T = TypeVar("T")
FILES = 60_000
FILES_BYTES = 4_800_000_000
_INODES_REST_SECONDS = 100


class Bench:
    """The measurements; each prints its lines."""

    def __init__(self, folder: Path, runs: int, files: int, files_bytes: int) -> None:
        self._folder = folder
        self._runs = runs
        self._image = folder / "files.img"
        self._files = files
        self._files_bytes = files_bytes
        self._case = folder / "case"
        self._saved = folder / "saved"
        self._rules = folder / "all.yar"
        self._triage = Path(sys.executable).with_name("triage")

    def enumeration(self) -> None:
        """(a) Enumeration against `fls -r`, and whether it is linear."""
        images = {count: self._folder / f"entries-{count}.img" for count in (100_000, 200_000)}
        mixed = self._folder / "entries-110000.img"
        build_entries(mixed, 100_000, 10_000)
        for count, image in images.items():
            build_entries(image, count)
        pairs = alternate(self._runs, lambda: run(["fls", "-r", mixed]), lambda: self._enumerate(mixed))
        print(f"(a) fls -r / enumeration, 110,000 entries: {ratios(pairs)}")
        pairs = alternate(
            self._runs, lambda: self._enumerate(images[200_000]), lambda: self._enumerate(images[100_000])
        )
        print(f"(a) enumeration, 200,000 / 100,000 entries: {ratios(pairs)}")

    def scale(self) -> None:
        """(g) A million files: whether time is linear and memory bounded; and beside two other parsers."""
        images = {count: self._folder / f"files-{count}.img" for count in (100_000, 1_000_000)}
        one_directory = {count: self._folder / f"entries-{count}.img" for count in (100_000, 1_000_000)}
        for count in images:
            build_entries(images[count], 0, count, a_directory=1000)
            build_entries(one_directory[count], count)
        for name, pair in (("1,000 files a directory", images), ("one directory", one_directory)):
            million, less = pair[1_000_000], pair[100_000]
            pairs = alternate(self._runs, partial(self._enumerate, million), partial(self._enumerate, less))
            print(f"(g) enumeration, 1,000,000 / 100,000 files, {name}: {ratios(pairs)}")
            peak = peak_memory([sys.executable, "-m", "tests.bench.enumerate", million])
            print(f"(g) its peak memory: {peak / 1e6:.0f} MB")
        million = images[1_000_000]
        pairs = alternate(self._runs, lambda: run(["fls", "-r", million]), lambda: self._enumerate(million))
        print(f"(g) fls -r / enumeration, 1,000,000 files: {ratios(pairs)}")
        mft = self._folder / "million.mft"
        with mft.open("wb") as file:
            subprocess.run(["icat", million, "0"], check=True, stdout=file)
        pairs = alternate(
            self._runs,
            lambda: run([sys.executable, "-m", "tests.bench.parse_mft", mft]),
            lambda: self._enumerate(million),
        )
        print(f"(g) the mft package, from the extracted $MFT / enumeration, 1,000,000 files: {ratios(pairs)}")
        peak = self._on_case(peak_memory, "--no-rescue", image=million)
        print(f"(g) whole job, 1,000,000 files, no rescue, peak memory: {peak / 1e6:.0f} MB")

    def cold(self) -> None:
        """(b) The whole job from a cold cache against the chain of tools that does the same."""
        build_files(self._image, self._files, self._files_bytes)
        rules = sorted(OWN_RULES.glob("*.yar"))
        self._rules.write_text("".join(f'include "{rule.resolve()}"\n' for rule in rules))
        pairs = alternate(self._runs, lambda: self._chain(rescue=False), lambda: self._run_cold("--no-rescue"))
        print(f"(b) chain / triage, no rescue, cold: {ratios(pairs)}")
        pairs = alternate(self._runs, lambda: self._chain(rescue=True), self._run_cold)
        print(f"(b) chain / triage, with rescue, cold: {ratios(pairs)}")

    def warm(self) -> None:
        """(c) The whole job from a warm cache against the compute floor, and (d) its peak of memory."""
        build_files(self._image, self._files, self._files_bytes)
        floor = Floor(self._image)
        self._read_once()
        self._run("--no-rescue")
        pairs = alternate(self._runs, lambda: self._run("--no-rescue"), floor.seconds)
        print(f"(c) triage / compute floor, warm, no rescue, {floor.bytes / 1e9:.2f} GB: {ratios(pairs)}")
        for seconds in pairs:
            print(f"    {seconds[0]:.1f} s against {seconds[1]:.1f} s")
        for options in (["--no-rescue"], []):
            peak = max(self._on_case(peak_memory, *options) for _ in range(2))
            print(f"(d) peak memory of all processes {' '.join(options)}: {peak / 1e6:.0f} MB")

    def quick(self) -> None:
        """(i) The quick profile against the full one, both warm, the full one with and without rescue."""
        build_files(self._image, self._files, self._files_bytes)
        self._read_once()
        self._run("--no-rescue")
        for options in (["--no-rescue"], []):
            pairs = alternate(self._runs, self._run_quick, partial(self._run, *options))
            print(f"(i) quick profile / full profile {' '.join(options)}, warm: {ratios(pairs, digits=3)}")

    def isolation(self) -> None:
        """(j) What the worker's isolation costs: the whole job from a warm cache, confined and not."""
        build_files(self._image, self._files, self._files_bytes)
        path = os.pathsep.join((str(UNCONFINED), os.environ.get("PYTHONPATH", "")))
        self._read_once()
        self._run("--no-rescue")
        unconfined = partial(self._on_case, run, "--no-rescue", environment=(f"PYTHONPATH={path}",))
        pairs = alternate(self._runs, partial(self._run, "--no-rescue"), unconfined)
        print(f"(j) triage confined / unconfined, warm, no rescue: {ratios(pairs)}")

    def disk_order(self) -> None:
        """(h) What reading costs on a simulated hard disk, as a multiple of a sequential read of the same bytes."""
        build_files(self._image, self._files, self._files_bytes)
        for order, cost in cost_of_orders(self._image).items():
            print(f"(h) {order} / sequential, simulated disk: {cost:.2f}")

    def artefacts(self) -> None:
        """(k) The examination of hives, event logs and prefetch files against their bare parse on all cores, warm."""
        image, folder = self._folder / "artefacts.img", self._folder / "artefacts"
        total = build_artefacts(image, folder)
        examine: list[str | Path] = [sys.executable, "-m", "tests.bench.examine_artefacts", image]
        parse: list[str | Path] = [sys.executable, "-m", "tests.bench.parse_artefacts", folder]
        for name, options in (("hives, event logs, prefetch files", []), ("without hives", ["--no-hives"])):
            run([*examine, *options])
            run([*parse, *options])
            pairs = alternate(self._runs, partial(run, [*examine, *options]), partial(run, [*parse, *options]))
            print(f"(k) examination / bare parse, {name}, {total / 1e6:.0f} MB in all: {ratios(pairs)}")
            for seconds in pairs:
                print(f"    {seconds[0]:.1f} s against {seconds[1]:.1f} s")
        print(f"(k) peak memory of the examination: {peak_memory(examine) / 1e6:.0f} MB")

    def live(self) -> None:
        """(e) Power-on to ready of the live stick against a plain Debian live system, and (f) the image's size."""
        bench = LiveBench(self._folder)
        pairs = alternate(self._runs, lambda: bench.seconds(plain=False), lambda: bench.seconds(plain=True))
        print(f"(e) live stick / plain live system, power-on to ready, emulated: {ratios(pairs)}")
        print(f"(f) image of the live stick: {bench.image_bytes / 1e6:.0f} MB")

    def _enumerate(self, image: Path) -> float:
        return run([sys.executable, "-m", "tests.bench.enumerate", image])

    def _run(self, *options: str) -> float:
        return self._on_case(run, *options)

    def _run_quick(self) -> float:
        return self._on_case(lambda command: run(command, expected=ExitCode.INCONCLUSIVE), "--profile", "quick")

    def _run_cold(self, *options: str) -> float:
        drop_caches()
        return self._run(*options)

    def _on_case(
        self,
        measure: Callable[[Sequence[str | Path]], T],
        *options: str,
        image: Path | None = None,
        environment: Sequence[str] = (),
    ) -> T:
        shutil.rmtree(self._case, ignore_errors=True)
        command: list[str | Path] = [
            self._triage,
            "run",
            image or self._image,
            "--out",
            self._case,
            "--quiet",
            *options,
        ]
        return measure(["env", *environment, *command])

    def _remove_copies(self) -> None:
        """Remove what the pair before left, and wait until its inodes are free to use.

        ext4 shuns inodes for a minute after their files were removed (`recently_deleted` in its ialloc.c), and is
        several times slower to make a file while there are many such.
        """
        for folder in (self._saved, self._case):
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_INODES_REST_SECONDS)

    def _chain(self, *, rescue: bool) -> float:
        """What a user would chain; each tool from a cold cache, as each is run for itself."""
        if rescue:
            self._remove_copies()
        seconds = self._on_mount(lambda root: run(["hashdeep", "-c", "md5,sha256", "-r", root]))
        seconds += self._on_mount(lambda root: run(["yara", "-r", "-p", "2", self._rules, root]))
        if rescue:
            seconds += self._on_mount(lambda root: run(["cp", "-a", root / "Users", self._saved]) + run(["sync"]))
        return seconds

    def _on_mount(self, work: Callable[[Path], float]) -> float:
        drop_caches()
        with mounted(self._image, "ro") as root:
            return work(root)

    def _read_once(self) -> None:
        subprocess.run(["cat", self._image], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=MEASUREMENTS, action="append")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--bytes", type=int, default=FILES_BYTES)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: to mount and to drop caches")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.folder.absolute(), arguments.runs, arguments.files, arguments.bytes)
    for name in arguments.only or MEASUREMENTS:
        measure = getattr(bench, name.replace("-", "_"))
        measure()


if __name__ == "__main__":
    main()

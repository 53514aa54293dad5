"""Fixtures for all tests: the disks of the lab and the image of the live stick, each built once in a session."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.boot.stick import build_image
from tests.command import triage
from tests.lab.disk import TOOLS, BuiltDisk, DiskSpec, build_disk
from tests.needs import needs_device, needs_root, needs_tool
from tests.skips import enforce
from triage.demo import unpack_demo
from triage.model.verdict import Stage

# No test is one of time: a busy machine must not fail one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Have skipped tests counted, and commands started as a terminal starts them."""
    enforce(config)
    # A shell that starts the tests in the background has SIGINT ignored in all their processes.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class LabDisk(Protocol):
    """Gives a disk of the lab; whoever changes its image works on a copy."""

    def __call__(self, stage: Stage = Stage.ENCRYPTING, *, spec: DiskSpec | None = None) -> BuiltDisk:
        """Return the plain disk at `stage`, or the one that `spec` describes."""
        ...


@pytest.fixture(scope="session")
def lab_disk(tmp_path_factory: pytest.TempPathFactory) -> LabDisk:
    """Build each disk once; skips where root or one of the builder's tools is missing."""
    for need in (needs_root(), needs_tool(*TOOLS), needs_device("/dev/fuse"), needs_device("/dev/loop-control")):
        if need.args[0]:
            pytest.skip(need.kwargs["reason"])
    built: dict[DiskSpec, BuiltDisk] = {}

    def disk(stage: Stage = Stage.ENCRYPTING, *, spec: DiskSpec | None = None) -> BuiltDisk:
        wanted = spec or DiskSpec(stage=stage)
        if wanted not in built:
            built[wanted] = build_disk(wanted, tmp_path_factory.mktemp("disk") / "pc.img")
        return built[wanted]

    return disk


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the demonstration's disk; never changed."""
    return unpack_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def undisturbed(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a case of the image by a run that was left alone; never changed."""
    case = tmp_path_factory.mktemp("undisturbed") / "case"
    assert triage("run", image, "--out", case).code == 10
    return case


@pytest.fixture(scope="session")
def live_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the image of the live stick."""
    return build_image(tmp_path_factory.mktemp("image"))

"""What a test needs of the machine: each returns a marker that skips by name where it is not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from triage.isolation import landlock

DATA_VARIABLE = "TRIAGE_TEST_DATA"


def needs_tool(*names: str) -> pytest.MarkDecorator:
    """Skip where one of the programs is not on the PATH."""
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs the program {', '.join(missing)}")


def needs_root() -> pytest.MarkDecorator:
    """Skip where the test does not run as root."""
    return pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def needs_device(path: str) -> pytest.MarkDecorator:
    """Skip where a device node is missing, `/dev/fuse` or `/dev/loop-control` for example."""
    return pytest.mark.skipif(not Path(path).exists(), reason=f"needs {path}")


def needs_landlock() -> pytest.MarkDecorator:
    """Skip where the kernel has no Landlock that lets files be moved between folders (before Linux 5.19), or none."""
    try:
        missing = landlock.version() < landlock.OLDEST_USED
    except OSError:
        missing = True
    return pytest.mark.skipif(missing, reason="needs a kernel with Landlock, version 2")


def needs_data(*relative_paths: str) -> pytest.MarkDecorator:
    """Skip where the folder of real forensic data, named by TRIAGE_TEST_DATA, is not there."""
    folder = os.environ.get(DATA_VARIABLE)
    missing = folder is None or not all((Path(folder) / path).exists() for path in relative_paths)
    return pytest.mark.skipif(missing, reason=f"needs {DATA_VARIABLE} with {', '.join(relative_paths) or 'the data'}")


def data_path(relative_path: str) -> Path:
    """Return the path of a file of the real forensic data; call only under `needs_data`."""
    return Path(os.environ[DATA_VARIABLE]) / relative_path

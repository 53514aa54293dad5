"""The door to evidence: opens a path for reading, whatever it is, or says in one line why it cannot."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from triage.evidence.device import open_device
from triage.evidence.raw import open_raw
from triage.evidence.source import EvidenceSource
from triage.evidence.split import open_split
from triage.model.errors import EvidenceError
from triage.model.text import _


def open_evidence(path: str | Path) -> EvidenceSource:
    """Open a raw image, the first segment of a split one, or a block device.

    Whether it may be examined at all (nothing of it mounted read-write) is asked by
    `triage.evidence.device.refuse_if_mounted_read_write`. Raises `EvidenceError`.
    """
    path = Path(path)
    try:
        return _open(path)
    except (FileNotFoundError, NotADirectoryError):
        raise EvidenceError(_("{path} does not exist").format(path=path), hint=_("check the spelling")) from None
    except PermissionError:
        raise EvidenceError(
            _("no permission to read {path}").format(path=path), hint=_("run as root, or copy the image")
        ) from None
    except OSError as error:
        raise EvidenceError(
            _("cannot open {path}: {reason}").format(path=path, reason=os.strerror(error.errno or 0)),
            hint=_("check the medium and its connection"),
        ) from None


def _open(path: Path) -> EvidenceSource:
    # The kind is asked before opening: opening a pipe would wait for a writer, opening a tape would wind it.
    mode = path.stat().st_mode
    if stat.S_ISBLK(mode):
        return open_device(path)
    if stat.S_ISREG(mode):
        return open_split(path) or open_raw(path)
    if stat.S_ISDIR(mode):
        raise EvidenceError(
            _("{path} is a folder").format(path=path),
            hint=_("give a disk image or a device such as /dev/sdb"),
        )
    raise EvidenceError(
        _("{path} is neither a file nor a block device").format(path=path),
        hint=_("give a disk image or a device such as /dev/sdb"),
    )

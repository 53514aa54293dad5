"""The bundled demonstration: a small disk image that stands in for an infected PC, and the set that knows it.

Nothing in it is malware: the programs on it are plain text, so no published digest fits them. Their digests are
an indicator set of their own, which a run on evidence never loads.
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Final

from triage.model.errors import EvidenceError

_FOLDER = Path(__file__).resolve().parent
PACKED_IMAGE: Final = _FOLDER / "infected-pc.img.xz"
DEMO_INDICATORS: Final = _FOLDER / "demo-inert-standins.csv"
"""The stand-ins' digests; the set is named after the file."""

_CHUNK_BYTES = 64 * 1024


def unpack_demo(folder: Path) -> Path:
    """Unpack the disk image into `folder`, which must exist, and return its path.

    Zeros become holes. An image that is already there is never overwritten. Raises EvidenceError where it cannot
    be written.
    """
    image = folder / PACKED_IMAGE.stem
    try:
        with lzma.open(PACKED_IMAGE) as packed, image.open("xb") as unpacked:
            while chunk := packed.read(_CHUNK_BYTES):
                if chunk.count(0) == len(chunk):
                    unpacked.seek(len(chunk), 1)
                else:
                    unpacked.write(chunk)
            unpacked.truncate()
    except FileExistsError as error:
        raise EvidenceError(f"{image} is there already", hint="name another folder") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EvidenceError(f"cannot unpack the demonstration to {image}: {reason}") from error
    return image

"""What lies in a case folder, and the list of digests that covers it: what seal and verify have in common."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
ALLOWED_SIGNERS = "allowed_signers"
REPORT = "report.json"
BAG = "rescue"
PAYLOAD = "data"
MANIFEST_COPIES = "rescue-manifest"

_FURTHER_SIGNER = re.compile(r"SHA256SUMS\.([1-9][0-9]{0,5})\.sig|allowed_signers\.([1-9][0-9]{0,5})")
_SUMS_LINE = re.compile(r"([0-9a-f]{64})  ([^\\\x00-\x1f\x7f]+)")
_MANIFEST_LINE = re.compile(r"([0-9a-f]{64})[ \t]+([^\\\x00-\x1f\x7f]+)")  # RFC 8493 2.1.3


class Folder(Struct, frozen=True, kw_only=True):
    """What a folder holds, as sorted relative paths: regular files, and what is neither file nor folder."""

    files: tuple[str, ...]
    others: tuple[str, ...]


def list_folder(folder: Path) -> Folder:
    """List everything below `folder`; links are not followed. Errors: `OSError`."""
    files: list[str] = []
    others: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path + "/")
                else:
                    (files if entry.is_file(follow_symlinks=False) else others).append(path)
    return Folder(files=tuple(sorted(files)), others=tuple(sorted(others)))


def is_payload(path: str) -> bool:
    """Say whether a path of the case folder is the bag's payload, which the bag's own manifest covers."""
    return path.startswith(f"{BAG}/{PAYLOAD}/")


def is_unlisted(path: str) -> bool:
    """Say whether a path of the case is the list itself, a signature of it, or a further signer's line."""
    return path in (SUMS, SIGNATURE) or _FURTHER_SIGNER.fullmatch(path) is not None


def further_signers(paths: tuple[str, ...]) -> list[int]:
    """Return the numbers of the signers that were added to the first one."""
    matches = (_FURTHER_SIGNER.fullmatch(path) for path in paths)
    return sorted({int(match[1] or match[2]) for match in matches if match})


def sums_line(digest: str, path: str) -> str:
    """Return a line of `SHA256SUMS`. Errors: `ValueError` for a path that it could hold only with escapes."""
    line = f"{digest}  {path}"
    if not _SUMS_LINE.fullmatch(line) or not _is_plain(path):
        raise ValueError(path)
    return line + "\n"


def parse_sums(data: bytes) -> tuple[dict[str, str], list[str]]:
    """Return digest by path, and each line that is not what `sums_line` writes (twice the same path, too)."""
    return _parse(data, _SUMS_LINE)


def parse_manifest(data: bytes) -> tuple[dict[str, str], list[str]]:
    """Return digest by path of a BagIt manifest, and each odd line; any white space may stand between the two."""
    return _parse(data, _MANIFEST_LINE)


def _parse(data: bytes, form: re.Pattern[str]) -> tuple[dict[str, str], list[str]]:
    digests: dict[str, str] = {}
    odd: list[str] = []
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if lines[-1] != "":
        odd.append(lines[-1])
    for line in lines[:-1]:
        match = form.fullmatch(line)
        if match is None or match[2] in digests or not _is_plain(match[2]):
            odd.append(line)
        else:
            digests[match[2]] = match[1]
    return digests, odd


def sha256_file(path: Path, on_bytes: Callable[[int], None] = lambda _count: None) -> str:
    """Return the SHA-256 of a regular file in hexadecimal; a link is not followed. Errors: `OSError`."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0, opener=_open_regular) as file:
        while block := file.read(1 << 20):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


def read_small(path: Path, limit_bytes: int = 1 << 26) -> bytes:
    """Return the content of a regular file. Errors: `OSError`, also for one larger than `limit_bytes`."""
    with open(path, "rb", opener=_open_regular) as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(0, f"larger than {limit_bytes} bytes", str(path))
    return data


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(0, "not a regular file", path)


def _is_plain(path: str) -> bool:
    """Say whether `path` is relative, stays below its folder and is Unicode."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not any(part in ("", ".", "..") for part in path.split("/"))

"""Subjects to rescue, and a short way to rescue them, for the tests of the rescue."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from triage.model.content import ContentJudgement
from triage.model.entry import FileTimes, StreamForm, Subject
from triage.rescue.vault import Vault

#: 2017-05-12 07:31:30.1234567 UTC, and an hour later.
MODIFIED = 131390478901234567
ACCESSED = MODIFIED + 36_000_000_000
MODIFIED_UNIX_NS = 1494574290123456700


def subject(
    path: str,
    size_bytes: int = 5,
    *,
    volume: str = "v1",
    stream: str = "",
    mft_entry: int = 77,
    modified: int = MODIFIED,
) -> Subject:
    """Return a stream of `size_bytes` with the times above."""
    return Subject(
        volume=volume,
        mft_entry=mft_entry,
        sequence=1,
        attribute_id=0,
        path=path,
        stream=stream,
        size_bytes=size_bytes,
        initialized_bytes=size_bytes,
        form=StreamForm.PLAIN,
        dos_attributes=0x22,
        si=FileTimes(MODIFIED - 1, modified, MODIFIED + 1, ACCESSED),
        fn=FileTimes(MODIFIED, MODIFIED, MODIFIED, MODIFIED),
    )


def sha256(data: bytes) -> str:
    """Return the digest as the digest examiner gives it."""
    return hashlib.sha256(data).hexdigest()


def save(
    vault: Vault, path: str, data: bytes, judgement: ContentJudgement = ContentJudgement.PLAIN, *, stream: str = ""
) -> None:
    """Copy one file into the vault, in two pieces."""
    copy = vault.open(subject(path, len(data), stream=stream))
    if copy is None:
        return
    middle = len(data) // 2
    copy.write(memoryview(data)[:middle])
    copy.write(memoryview(data)[middle:])
    copy.finish(sha256(data), judgement, complete=True)


def save_all(vault: Vault, files: Mapping[str, bytes]) -> None:
    """Copy several files into the vault."""
    for path, data in files.items():
        save(vault, path, data)

"""Are a folder's files those of a list of digests? The same for a bag, whose lists the case has sealed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from triage.model.text import _
from triage.report.case_files import (
    MANIFEST_COPIES,
    PAYLOAD,
    list_folder,
    parse_manifest,
    read_small,
    sha256_file,
)

_MANIFEST = "manifest-sha256.txt"
_TAG_MANIFEST = "tagmanifest-sha256.txt"
_BAG_INFO = "bag-info.txt"
_OXUM = re.compile(rb"^Payload-Oxum: ([0-9]+)\.([0-9]+)\r?$", re.MULTILINE)


class Problem(Struct, frozen=True):
    """What is not as it was sealed: `path`, in the case or in a bag elsewhere, and what is wrong with it."""

    path: str
    what: str


class Problems:
    """What was found wrong: the first thing that is known of a path stands for it."""

    def __init__(self) -> None:
        self._what_by_path: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._what_by_path)

    def add(self, path: str, what: str) -> None:
        """Note that something is wrong with `path`."""
        self._what_by_path.setdefault(path, what)

    def add_unreadable(self, path: str, error: OSError) -> None:
        """Note that `path` could not be read."""
        missing = isinstance(error, FileNotFoundError)
        self.add(path, _("missing") if missing else _("cannot be read: {reason}").format(reason=error.strerror))

    def extend(self, others: Problems) -> None:
        """Note all of `others` as well."""
        for problem in others.all():
            self.add(problem.path, problem.what)

    def all(self) -> tuple[Problem, ...]:
        """Return them in the order in which they were found."""
        return tuple(Problem(path, what) for path, what in self._what_by_path.items())


class Tally(Struct, frozen=True, kw_only=True):
    """How much was found to be as it was sealed."""

    files: int = 0
    bytes: int = 0


class Bag(Struct, frozen=True, kw_only=True):
    """A bag to be checked: where it lies, how messages call that place, where the sealed copies lie."""

    folder: Path
    label: str
    copies: Path


def check_files(
    folder: Path,
    label: str,
    present: Iterable[str],
    digests: Mapping[str, str],
    problems: Problems,
    on_bytes: Callable[[int], None],
) -> Tally:
    """Compare the files `present` in `folder` with `digests`; name what changed, is missing or was added."""
    found = set(present)
    for path in sorted(digests.keys() - found):
        problems.add(label + path, _("missing"))
    for path in sorted(found - digests.keys()):
        problems.add(label + path, _("added: no list has it"))
    files = total_bytes = 0
    for path in sorted(found & digests.keys()):
        try:
            same = sha256_file(folder / path, on_bytes) == digests[path]
            size_bytes = (folder / path).stat().st_size
        except OSError as error:
            problems.add_unreadable(label + path, error)
            continue
        if same:
            files += 1
            total_bytes += size_bytes
        else:
            problems.add(label + path, _("changed"))
    return Tally(files=files, bytes=total_bytes)


def check_bag(bag: Bag, sealed: Mapping[str, str], problems: Problems, on_bytes: Callable[[int], None]) -> Tally:
    """Check a BagIt bag (RFC 8493); `sealed` are the digests that `SHA256SUMS` has of the copies of its
    manifests.

    Returns how many rescued files are whole, and their size.
    """
    try:
        content = list_folder(bag.folder)
    except OSError as error:
        problems.add_unreadable(bag.label, error)
        return Tally()
    for path in content.others:
        problems.add(bag.label + path, _("neither a file nor a folder"))
    payload = [path for path in content.files if path.startswith(f"{PAYLOAD}/")]
    tags = [path for path in content.files if not path.startswith(f"{PAYLOAD}/")]
    tag_digests = {**_sealed_list(_TAG_MANIFEST, bag, sealed, problems), **sealed}
    check_files(bag.folder, bag.label, tags, tag_digests, problems, on_bytes)
    before = len(problems)
    digests = _sealed_list(_MANIFEST, bag, sealed, problems)
    tally = check_files(bag.folder, bag.label, payload, digests, problems, on_bytes)
    if len(problems) == before:
        _check_oxum(bag, tally, problems)
    return tally


def _sealed_list(name: str, bag: Bag, sealed: Mapping[str, str], problems: Problems) -> dict[str, str]:
    """Return a manifest's digests, from the copy in the case or the bag's own, whichever is as sealed."""
    if name not in sealed:
        problems.add(f"{MANIFEST_COPIES}/{name}", _("not sealed: it would cover the rescued files"))
        return {}
    for folder in (bag.copies, bag.folder):
        try:
            data = read_small(folder / name)
        except OSError:
            continue  # named where the files of the folder are checked
        if hashlib.sha256(data).hexdigest() == sealed[name]:
            digests, odd = parse_manifest(data)
            if odd:
                problems.add(f"{MANIFEST_COPIES}/{name}", _("has an odd line: {line}").format(line=odd[0]))
            return digests
    problems.add(bag.label + PAYLOAD, _("cannot be checked: no copy of the manifest is as it was sealed"))
    return {}


def _check_oxum(bag: Bag, tally: Tally, problems: Problems) -> None:
    """Compare the sum that `bag-info.txt` gives for the payload (RFC 8493 2.2.2) with what lies there."""
    try:
        match = _OXUM.search(read_small(bag.folder / _BAG_INFO))
    except OSError as error:
        problems.add_unreadable(bag.label + _BAG_INFO, error)
        return
    if match is None or (int(match[1]), int(match[2])) != (tally.bytes, tally.files):
        problems.add(bag.label + _BAG_INFO, _("its Payload-Oxum is not what lies in the bag"))

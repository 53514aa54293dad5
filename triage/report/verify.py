"""Is a case as it was sealed? Every file that was changed, is missing or was added is named.

What is trusted comes in this order: the signature over `SHA256SUMS`, its digests of all files of the case,
among them the copies of the bag's manifests, and their digests of the rescued files. Nothing that is found
raises: a case can be bad in many ways at once, and all of them are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from triage.model.errors import ParseError, ReportError
from triage.model.text import _
from triage.report.case_files import (
    ALLOWED_SIGNERS,
    BAG,
    MANIFEST_COPIES,
    REPORT,
    SUMS,
    further_signers,
    is_payload,
    is_unlisted,
    list_folder,
    parse_sums,
    read_small,
)
from triage.report.document import load_report
from triage.report.sshsig import NAMESPACE, fingerprint, parse_signature, parse_signer_line
from triage.report.verify_files import Bag, Problem, Problems, Tally, check_bag, check_files

_BAG_DECLARATION = "bagit.txt"


class Signer(Struct, frozen=True, kw_only=True):
    """Who signed, and with which key: its fingerprint is to be compared with that on the paper form."""

    name: str
    fingerprint: str


class VerifyResult(Struct, frozen=True, kw_only=True):
    """What came of it. `files` counts the sealed files of the case found whole, `rescued` those of the bag.

    `signer` and `fingerprint` are None where the signature does not hold; `further` are the signers added
    later.
    """

    problems: tuple[Problem, ...]
    signer: str | None = None
    fingerprint: str | None = None
    further: tuple[Signer, ...] = ()
    files: int = 0
    rescued: Tally = Tally()

    @property
    def ok(self) -> bool:
        """Whether everything is as it was sealed."""
        return not self.problems


def verify_case(
    folder: Path,
    bag: Path | None = None,
    *,
    expected_fingerprint: str | None = None,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> VerifyResult:
    """Check the case in `folder` and its bag, which is sought in the case, at `bag`, or where the report
    says.

    `expected_fingerprint` is the one of the paper form: without it a case that was changed and sealed anew
    with another key looks whole. `on_bytes` is told of every block read, for a progress bar.
    """
    problems = Problems()
    try:
        content = list_folder(folder)
        sums = read_small(folder / SUMS)
    except OSError as error:
        problems.add_unreadable(SUMS if folder.is_dir() else str(folder), error)
        return VerifyResult(problems=problems.all())
    digests, odd = parse_sums(sums)
    if odd:
        problems.add(SUMS, _("has an odd line: {line}").format(line=odd[0]))
    for path in filter(_may_not_be_listed, digests):
        problems.add(SUMS, _("lists {path}, which it must not").format(path=path))
    for path in content.others:
        problems.add(path, _("neither a file nor a folder"))
    present = [path for path in content.files if not _may_not_be_listed(path)]
    tally = check_files(folder, "", present, digests, problems, on_bytes)
    rescued = _check_bags(folder, bag, digests, problems, on_bytes)

    signed = Problems()
    file_problems = frozenset(problem.path for problem in problems.all())
    signer = _check_signer(folder, "", sums, file_problems, signed)
    further = [
        _check_signer(folder, f".{number}", sums, file_problems, signed) for number in further_signers(content.files)
    ]
    if signer is not None and expected_fingerprint is not None:
        _check_fingerprint(signer, expected_fingerprint, signed)
    signed.extend(problems)
    return VerifyResult(
        problems=signed.all(),
        signer=signer.name if signer is not None else None,
        fingerprint=signer.fingerprint if signer is not None else None,
        further=tuple(one for one in further if one is not None),
        files=tally.files,
        rescued=rescued,
    )


def _may_not_be_listed(path: str) -> bool:
    return is_payload(path) or is_unlisted(path)


def _check_bags(
    folder: Path,
    given: Path | None,
    digests: Mapping[str, str],
    problems: Problems,
    on_bytes: Callable[[int], None],
) -> Tally:
    """Check each bag against the sealed copies of its manifests; return what is whole of the last one."""
    prefix = f"{MANIFEST_COPIES}/"
    sealed = {path.removeprefix(prefix): digest for path, digest in digests.items() if path.startswith(prefix)}
    copies, in_case = folder / MANIFEST_COPIES, folder / BAG
    tally = Tally()
    if in_case.is_dir():
        tally = check_bag(Bag(folder=in_case, label=f"{BAG}/", copies=copies), sealed, problems, on_bytes)
        elsewhere = given
    else:
        elsewhere = given or _destination(folder) or (in_case if sealed else None)
    if elsewhere is None:
        return tally
    if not (elsewhere / _BAG_DECLARATION).is_file():
        problems.add(str(elsewhere), _("the bag was not found: say where it is with --bag DIR"))
        return tally
    return check_bag(Bag(folder=elsewhere, label=f"{elsewhere}/", copies=copies), sealed, problems, on_bytes)


def _destination(folder: Path) -> Path | None:
    """Return where the report says that the bag is; None where there is none or the report cannot be read."""
    try:
        rescue = load_report(folder / REPORT).rescue
    except ReportError:
        return None  # a damaged report is named by its digest
    return folder / rescue.destination if rescue is not None else None


def _check_signer(
    folder: Path, suffix: str, sums: bytes, file_problems: frozenset[str], problems: Problems
) -> Signer | None:
    """Check one signature (`suffix` "" or `.<n>`); of two files that do not fit, name the one changed."""
    signature_path, signer_path = f"{SUMS}{suffix}.sig", f"{ALLOWED_SIGNERS}{suffix}"
    try:
        name, public_key = parse_signer_line(read_small(folder / signer_path))
    except OSError as error:
        problems.add_unreadable(signer_path, error)
        return None
    except ParseError as error:
        problems.add(signer_path, error.what)
        return None
    try:
        signature = parse_signature(read_small(folder / signature_path))
    except OSError as error:
        problems.add_unreadable(signature_path, error)
        return None
    except ParseError as error:
        problems.add(signature_path, error.what)
        return None
    same_key = signature.public_key == public_key
    if signature.namespace != NAMESPACE:
        problems.add(signature_path, _("made for another purpose: {name}").format(name=signature.namespace))
    elif not signature.fits(sums):
        list_is_suspect = same_key and len(file_problems) > 0
        problems.add(SUMS if list_is_suspect else signature_path, _("the signature does not fit SHA256SUMS"))
    elif not same_key:
        line_is_suspect = suffix != "" or signer_path in file_problems
        problems.add(signer_path if line_is_suspect else signature_path, _("not the key that made the signature"))
    else:
        return Signer(name=name, fingerprint=fingerprint(public_key))
    return None


def _check_fingerprint(signer: Signer, expected: str, problems: Problems) -> None:
    if signer.fingerprint.removeprefix("SHA256:") != expected.strip().removeprefix("SHA256:"):
        problems.add(ALLOWED_SIGNERS, _("another key signed: {key}").format(key=signer.fingerprint))

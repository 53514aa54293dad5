"""The commands around a case: make one, check one, and the demonstration."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path

import click
from click.core import ParameterSource

from triage.cli.progress import observer
from triage.demo import DEMO_INDICATORS, unpack_demo
from triage.examiners.yara_scan import DEFAULT_TIMEOUT_SECONDS
from triage.model.errors import ExitCode, TriageError, UsageError
from triage.model.escape import escape_terminal
from triage.model.profile import Profile
from triage.model.report import Report
from triage.model.text import _, ngettext
from triage.pipeline.case_folder import RESCUE_FOLDER
from triage.pipeline.job import Job
from triage.pipeline.resume import first_session
from triage.pipeline.supervise import Options, Result, supervise
from triage.report.document import write_document
from triage.report.seal import SigningKey
from triage.report.text import summary
from triage.report.verify import VerifyResult, verify_case

_MOST_THREADS = 8
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.argument("evidence", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", metavar="CASE", type=click.Path(path_type=Path), help="New folder for the case.")
@click.option("--resume", metavar="CASE", type=click.Path(path_type=Path), help="Go on with an interrupted case.")
@click.option(
    "--rescue-to",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for rescued files. [default: CASE/rescue]",
)
@click.option("--no-rescue", is_flag=True, help="Copy no files.")
@click.option(
    "--profile",
    default=Profile.FULL.value,
    show_default=True,
    type=click.Choice([profile.value for profile in Profile]),
    help="quick reads what tells most, rescues nothing and cannot rule out an infection; full reads everything.",
)
@click.option("--no-deleted", is_flag=True, help="Do not list what deleted entries still hold.")
@click.option("--rules", multiple=True, metavar="PATH", type=click.Path(path_type=Path), help="More YARA rules.")
@click.option("--ioc", multiple=True, metavar="FILE", type=click.Path(path_type=Path), help="More known bad digests.")
@click.option(
    "--known-good",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Digests of files that are good.",
)
@click.option("--sign-key", metavar="FILE", type=click.Path(path_type=Path), help="OpenSSH private key to sign with.")
@click.option("--hash-evidence", is_flag=True, help="SHA-256 of the whole evidence before and after.")
@click.option("--examiner", default="", metavar="NAME", help="Who examines; stands in the report.")
@click.option("--notes", default="", metavar="TEXT", help="Remarks; stand in the report.")
@click.option("--case-id", default="", metavar="ID", help="Name of the case. [default: made from the time]")
@click.option(
    "--yara-timeout",
    default=DEFAULT_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    type=click.IntRange(min=1),
    help="Longest time for one window of one stream.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json on standard output, nothing else.")
@click.pass_context
def run(
    context: click.Context,
    evidence: tuple[Path, ...],
    out: Path | None,
    resume: Path | None,
    rescue_to: Path | None,
    no_rescue: bool,
    profile: str,
    no_deleted: bool,
    rules: tuple[Path, ...],
    ioc: tuple[Path, ...],
    known_good: tuple[Path, ...],
    sign_key: Path | None,
    hash_evidence: bool,
    examiner: str,
    notes: str,
    case_id: str,
    yara_timeout: int,
    quiet: bool,
    as_json: bool,
) -> ExitCode:
    """Examine EVIDENCE (disk images or devices) and leave a signed case."""
    if resume is not None:
        _refuse_with_resume(context)
        options = _resumed(resume, evidence, hash_evidence=hash_evidence)
    else:
        if not evidence:
            raise UsageError(_("no evidence given"), hint=_("name a disk image or a device; lsblk shows devices"))
        if out is None:
            raise UsageError(_("no case folder given"), hint=_("name a new folder with --out CASE"))
        if len({path.resolve() for path in evidence}) < len(evidence):
            raise UsageError(_("the same evidence is named twice"))
        if no_rescue and rescue_to is not None:
            raise UsageError(_("--no-rescue and --rescue-to exclude each other"))
        is_quick = profile == Profile.QUICK
        if is_quick and rescue_to is not None:
            raise UsageError(
                _("--profile quick rescues no files, so --rescue-to cannot be given with it"),
                hint=_("leave one of the two out"),
            )
        case = out.absolute()
        job = Job(
            evidence=_absolute(evidence),
            case_folder=str(case),
            profile=Profile(profile),
            rescue_to=None if no_rescue or is_quick else str((rescue_to or case / RESCUE_FOLDER).absolute()),
            rules=_absolute(rules),
            ioc=_absolute(ioc),
            known_good=_absolute(known_good),
            yara_timeout_seconds=yara_timeout,
            deleted=not no_deleted,
            threads=_threads(rescue=not no_rescue),
        )
        options = Options(
            job=job,
            case_id=case_id or _new_case_id(),
            examiner=examiner,
            notes=notes,
            command=tuple(sys.argv),
            hash_evidence=hash_evidence,
        )
    key = SigningKey.generate() if sign_key is None else SigningKey.load(sign_key, _ask_passphrase)
    result = _supervised(options, key, quiet=quiet or as_json)
    _show(result, as_json=as_json)
    return result.exit_code


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--bag", metavar="DIR", type=click.Path(path_type=Path), help="Where the rescued files are now.")
@click.option("--fingerprint", metavar="SHA256:…", help="The fingerprint on the paper form.")
def verify(case: Path, bag: Path | None, fingerprint: str | None) -> ExitCode:
    """Check that nothing of CASE was changed, lost or added since it was sealed."""
    result = verify_case(case, bag, expected_fingerprint=fingerprint)
    _show_verification(result)
    return ExitCode.OK if result.ok else ExitCode.FATAL


@click.command()
@click.option(
    "--out",
    metavar="DIR",
    default="triage-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="New folder for the demonstration.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def demo(out: Path, quiet: bool) -> ExitCode:
    """Do the whole job on a small disk image that comes along: an inert stand-in for an infected PC."""
    try:
        out.mkdir()
    except OSError as error:
        raise TriageError(
            _("cannot make {path}: {reason}").format(path=out, reason=error.strerror),
            hint=_("name a new folder with --out"),
        ) from error
    image, case = unpack_demo(out), (out / "case").absolute()
    job = Job(
        evidence=_absolute((image,)),
        case_folder=str(case),
        rescue_to=str(case / RESCUE_FOLDER),
        extra_sets=(str(DEMO_INDICATORS),),
        threads=_threads(rescue=True),
    )
    options = Options(job=job, case_id="demo", examiner=_("demonstration"), command=tuple(sys.argv), hash_evidence=True)
    result = _supervised(options, SigningKey.generate(), quiet=quiet)
    _show(result, as_json=False)
    verified = verify_case(case)
    _show_verification(verified)
    as_it_should = verified.ok and result.exit_code is ExitCode.INDICATORS_FOUND
    return ExitCode.OK if as_it_should else ExitCode.FATAL


def _refuse_with_resume(context: click.Context) -> None:
    """A resumed run has the options of the first one; what would change it is refused rather than overlooked."""
    allowed = {"evidence", "resume", "sign_key", "hash_evidence", "quiet", "as_json"}
    for name in context.params:
        if name not in allowed and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise UsageError(_("{option} cannot be given with --resume").format(option=option))


def _resumed(case: Path, evidence: tuple[Path, ...], *, hash_evidence: bool) -> Options:
    first = first_session(case.absolute(), _absolute(evidence))
    return Options(
        job=first.job,
        case_id=first.case_id,
        examiner=first.examiner,
        notes=first.notes,
        command=tuple(sys.argv),
        hash_evidence=hash_evidence or first.hash_evidence,
    )


def _supervised(options: Options, key: SigningKey, *, quiet: bool) -> Result:
    """Run under supervision; Ctrl-C (or the terminal's end) asks to stop, and the case is sealed as it stands."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda got, _frame: asked.append(got)) for number in _SIGNALS}
    watching = observer(quiet=quiet)
    try:
        return supervise(options, key, watching, lambda: len(asked))
    finally:
        watching.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(result: Result, *, as_json: bool) -> None:
    report: Report = result.report
    if as_json:
        write_document(report, sys.stdout)
    else:
        click.echo(summary(report, result.seal.fingerprint, result.folder), nl=False)


def _show_verification(result: VerifyResult) -> None:
    for problem in result.problems:
        click.echo(escape_terminal(f"{problem.path}: {problem.what}"), err=True)
    if not result.ok:
        count = len(result.problems)
        click.echo(
            ngettext("NOT VERIFIED: {count} problem", "NOT VERIFIED: {count} problems", count).format(count=count)
        )
        return
    click.echo(
        _("VERIFIED: {files} files of the case and {rescued} rescued files are as they were sealed.").format(
            files=result.files, rescued=result.rescued.files
        )
    )
    click.echo(escape_terminal(_("Signed by {signer}, key {key}").format(signer=result.signer, key=result.fingerprint)))


def _ask_passphrase() -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            _("the key needs a passphrase and there is no terminal to ask for it"),
            hint=_("run on a terminal, or give a key without a passphrase"),
        )
    try:
        return getpass(_("Passphrase of the key: "))
    except EOFError:
        raise click.Abort from None


def _absolute(paths: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(str(path.absolute()) for path in paths)


def _threads(*, rescue: bool) -> int:
    """Return how many threads read: one more than there are cores, so that one computes while another waits.

    The rescue has that one already: it commits what the others copied.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores if rescue else cores + 1, _MOST_THREADS))


def _new_case_id() -> str:
    return f"case-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"

"""The commands around a case: make one, check one, and the demonstration.

What takes time to load is loaded when it is needed: that of a run while its worker loads what it needs itself.
"""

from __future__ import annotations

import os
import sys
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from triage.demo import DEMO_INDICATORS, unpack_demo
from triage.model.errors import ExitCode, TriageError, UsageError
from triage.model.profile import Profile
from triage.model.text import _
from triage.pipeline.case_folder import RESCUE_FOLDER
from triage.pipeline.job import YARA_TIMEOUT_SECONDS, Job, Options
from triage.pipeline.launch import early_worker

_MOST_THREADS = 8


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
    default=YARA_TIMEOUT_SECONDS,
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
        options = partial(_resumed, resume.absolute(), _absolute(evidence), hash_evidence=hash_evidence)
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
            threads=_threads(),
        )
        options = partial(
            Options,
            job=job,
            case_id=case_id or _new_case_id(),
            examiner=examiner,
            notes=notes,
            command=tuple(sys.argv),
            hash_evidence=hash_evidence,
        )
    with early_worker() as worker:
        from triage.cli import session

        return session.examine(options(), worker, sign_key, quiet=quiet, as_json=as_json)


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--bag", metavar="DIR", type=click.Path(path_type=Path), help="Where the rescued files are now.")
@click.option("--fingerprint", metavar="SHA256:…", help="The fingerprint on the paper form.")
def verify(case: Path, bag: Path | None, fingerprint: str | None) -> ExitCode:
    """Check that nothing of CASE was changed, lost or added since it was sealed."""
    from triage.cli import session

    return session.verify(case, bag, fingerprint)


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
        threads=_threads(),
    )
    options = Options(job=job, case_id="demo", examiner=_("demonstration"), command=tuple(sys.argv), hash_evidence=True)
    with early_worker() as worker:
        from triage.cli import session

        return session.demonstrate(options, worker, quiet=quiet)


def _refuse_with_resume(context: click.Context) -> None:
    """A resumed run has the options of the first one; what would change it is refused rather than overlooked."""
    allowed = {"evidence", "resume", "sign_key", "hash_evidence", "quiet", "as_json"}
    for name in context.params:
        if name not in allowed and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise UsageError(_("{option} cannot be given with --resume").format(option=option))


def _resumed(case: Path, evidence: tuple[str, ...], *, hash_evidence: bool) -> Options:
    """Return the options with which a case goes on: those of its first run."""
    from triage.pipeline.resume import first_session

    first = first_session(case, evidence)
    return Options(
        job=first.job,
        case_id=first.case_id,
        examiner=first.examiner,
        notes=first.notes,
        command=tuple(sys.argv),
        hash_evidence=hash_evidence or first.hash_evidence,
    )


def _absolute(paths: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(str(path.absolute()) for path in paths)


def _threads() -> int:
    """Return how many threads read: as many as there are cores. One more would only wait for Python's lock."""
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)


def _new_case_id() -> str:
    return f"case-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"

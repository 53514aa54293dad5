"""The run without a person: real disks examined onto a real exFAT stick; the result told everywhere, and power off."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests.cases import case_of
from tests.command import report_of
from tests.conftest import LabDisk
from tests.lab.disk import DiskSpec
from tests.loops import sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.rescue_samples import sha256
from tests.sticks import MIB, SIGNATURE, TOOLS, LiveSystem, live_system, make_stick
from triage.evidence.destination import free_bytes
from triage.live import consoles, unattended
from triage.live.disks import Disk
from triage.live.result import result_lines, sealed_case
from triage.live.stick import prepare_stick
from triage.live.unattended import examine_unattended
from triage.model.errors import ExitCode
from triage.model.rescue import RescueOutcome
from triage.pipeline.case_folder import RESCUE_FOLDER
from triage.pipeline.journal import JOURNAL_NAME, RescueRecord, read_journal
from triage.pipeline.supervise import exit_code
from triage.report.case_files import ALLOWED_SIGNERS, REPORT
from triage.report.verify import verify_case

pytestmark = [needs_root(), needs_device("/dev/loop-control"), needs_device("/dev/fuse"), needs_tool(*TOOLS)]
FIXED = Disk(node=Path("/dev/sdy"), size_bytes=500_000_000_000, model="Disk", bus="ATA", removable=False)
SYSTEMCTL = '#!/bin/sh\necho "$@" >> {log}\ncase $1 in stop) umount {media};; esac\n'


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveSystem]:
    """A live system booted by the menu's second entry, nobody there; `systemctl` keeps a log of what it is asked."""
    live = live_system(tmp_path, monkeypatch)
    live.boot(f"triage.stick={SIGNATURE}-02 triage.auto=rescue")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL.format(log=tmp_path / "asked", media=live.media))
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(unattended, "STAY_SECONDS", 0)
    monkeypatch.setattr(consoles, "_ACTIVE", tmp_path / "active")
    monkeypatch.setattr(consoles, "_DEV", tmp_path)
    (tmp_path / "active").write_text("tty0\n")
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        yield live


def asked(live: LiveSystem) -> list[str]:
    log = live.folder / "asked"
    return log.read_text().splitlines() if log.exists() else []


def failed(case: Path) -> set[str]:
    """Return the names of the files that a case could not save."""
    files = [record.file for record in read_journal(case / JOURNAL_NAME) if isinstance(record, RescueRecord)]
    return {PurePosixPath(file.path).name for file in files if file.outcome is RescueOutcome.FAILED}


def test_infected_pc_to_signed_case_on_exfat(
    live: LiveSystem, lab_disk: LabDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With every odd name that NTFS knows: colons, trailing dots, unpaired surrogates, 255 characters."""
    pc = lab_disk(spec=DiskSpec(oddities=True)).image
    before = sha256(pc.read_bytes())
    image = make_stick(tmp_path / "stick.img", 256 * MIB)
    with live.disk(image), live.disk(pc) as disk, live.disk(sparse(tmp_path / "blank.img", MIB)) as blank:
        assert prepare_stick().mount_point is not None
        assert examine_unattended() is False
        assert asked(live) == ["stop media-triage.mount", "poweroff"]
        assert not live.media.is_mount()
        out = capsys.readouterr().out
        assert prepare_stick().mount_point is not None
        (case,) = live.media.glob("case-*")
        verified = verify_case(case)
        assert verified.problems == ()
        report = report_of(case)
        assert report.rescue is not None
        assert report.rescue.by_outcome[RescueOutcome.RESCUED] > 100
        assert failed(case) == {"efs.docx"}  # whose content is hidden on every destination
        assert [evidence.path for evidence in report.evidence] == [str(disk.node)]
        assert f"left out, cannot be examined: {blank.node}" in report.case.notes
    assert sha256(pc.read_bytes()) == before
    assert f"Key fingerprint: {verified.fingerprint}" in out
    assert f"Case: {case.name}" in out
    assert re.search(r"^ *I N D I C A T O R S   F O U N D", out, re.MULTILINE)
    assert "Stage: 4 of 5" in out
    assert "What to do" in out
    assert len(re.findall(rf"^Gaps: {len(report.gaps)}, ", out, re.MULTILINE)) == 2  # the command's and the result's
    assert re.search(r"^triage: starting", out, re.MULTILINE)
    assert "Powering off in 0 s. Press a key to stay." in out


@needs_tool("setpriv")
def test_run_without_the_capabilities_that_the_live_system_takes_away(
    live: LiveSystem, lab_disk: LabDisk, tmp_path: Path
) -> None:
    """Neither the flag can be lifted nor a byte be written; the run does not need to."""
    pc = lab_disk().image
    before = sha256(pc.read_bytes())
    bounded = ("setpriv", "--bounding-set=-sys_admin,-sys_rawio,-sys_module,-mknod")
    with live.disk(make_stick(tmp_path / "stick.img", 128 * MIB)), live.disk(pc) as disk:
        command = (*bounded, sys.executable, "-m", "triage", "run", disk.node, "--quiet", "--out")
        unlocked = subprocess.run((*command, tmp_path / "case"), capture_output=True, text=True, check=False)
        assert f"no permission to set {disk.node} read-only" in unlocked.stderr
        prepare_stick()
        ran = subprocess.run((*command, live.media / "case"), capture_output=True, text=True, check=False)
        assert ran.returncode == ExitCode.INDICATORS_FOUND, ran
        for attempt in (
            ("blockdev", "--setrw", disk.node),
            ("dd", "if=/dev/zero", f"of={disk.node}", "bs=512", "count=1", "conv=notrunc"),
            ("mount", "-o", "rw", f"{disk.node}p1", tmp_path),
        ):
            assert subprocess.run((*bounded, *attempt), capture_output=True, check=False).returncode != 0
    assert sha256(pc.read_bytes()) == before


def test_report_only(live: LiveSystem, lab_disk: LabDisk, tmp_path: Path) -> None:
    live.boot(f"triage.stick={SIGNATURE}-02 triage.auto=report")
    with live.disk(make_stick(tmp_path / "stick.img", 128 * MIB)), live.disk(lab_disk().image):
        prepare_stick()
        assert examine_unattended() is False
        prepare_stick()
        (case,) = live.media.glob("case-*")
        report = report_of(case)
        assert (report.rescue, (case / "rescue").exists()) == (None, False)
        assert exit_code(report) is ExitCode.INDICATORS_FOUND


def test_without_stick_or_disk_nothing_is_done_and_the_pc_stays_on(
    live: LiveSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with live.disk(sparse(tmp_path / "pc.img", MIB)):
        prepare_stick()
        assert examine_unattended() is True
        out = capsys.readouterr().out
        assert "! the stick that the system was started from is not there any more" in out
        assert "Nothing was examined." in out
        assert out.endswith("To leave the shell for the text screen: exit. To end: poweroff\n")
    with live.disk(make_stick(tmp_path / "stick.img", 32 * MIB)):
        prepare_stick()
        assert examine_unattended() is True
        assert "Nothing was examined." in capsys.readouterr().out
        assert list(live.media.iterdir()) == []
    assert asked(live) == []


def test_stick_too_small_for_a_case_is_told(
    live: LiveSystem, lab_disk: LabDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with live.disk(make_stick(tmp_path / "stick.img", 32 * MIB)), live.disk(lab_disk().image):
        prepare_stick()
        (live.media / "filler").write_bytes(bytes(free_bytes(live.media) - 2 * MIB))
        assert examine_unattended() is True
        out = capsys.readouterr().out
    assert "not enough space for the report" in out
    assert "N O   C A S E   W A S   S E A L E D" in out
    assert "poweroff" not in asked(live)


def test_removable_disk_is_left_out_and_named(
    live: LiveSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Disk(node=Path("/dev/sdz"), size_bytes=8_000_000_000, model="Card", bus="USB", removable=True)
    monkeypatch.setattr(unattended, "disks_of_pc", lambda _stick: (card,))
    with live.disk(make_stick(tmp_path / "stick.img", 32 * MIB)):
        prepare_stick()
        assert examine_unattended() is True
    out = capsys.readouterr().out
    assert "! left out, removable: /dev/sdz  8.00 GB  USB  removable  Card" in out
    assert "Nothing was examined." in out


def test_key_keeps_the_pc_on(live: LiveSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was pressed before the question does not count."""
    ours, theirs = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(theirs, closefd=False))
    os.write(ours, b"x")
    time.sleep(0.2)  # until it has arrived
    assert unattended._key_within(0.2) is False
    threading.Timer(0.3, os.write, (ours, b" ")).start()
    assert unattended._key_within(30) is True
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert unattended._key_within(30) is True
    os.close(theirs)
    os.close(ours)


def test_whoever_stays_has_the_stick_mounted_again(live: LiveSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unattended, "_key_within", lambda _seconds: True)
    live.media.mkdir()
    assert unattended._end(consoles.Consoles()) is True
    assert asked(live) == ["stop media-triage.mount", "restart triage-stick.service"]


def test_every_console_is_told_the_same(live: LiveSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = pty.openpty()
    (tmp_path / "ttyS0").symlink_to(os.ttyname(theirs))
    (tmp_path / "active").write_text("tty0 ttyS0 ttyS9\n")
    every = consoles.Consoles()
    every.say("结果 \x1b[2J", loud=True)
    every.say("plain")
    told = b""
    while not told.endswith(b"plain\r\r\n"):
        told += os.read(ours, 100)
    assert told.replace(b"\r\r", b"\r") == "结果 \\x1b[2J\r\nplain\r\n".encode()
    assert "结果 \\x1b[2J" in capsys.readouterr().out
    os.close(theirs)
    every.say("after the line was cut")
    os.close(ours)
    every.say("after the line was cut")


def test_case_that_was_not_sealed_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    assert sealed_case(tmp_path) is None
    assert any("N O   C A S E" in line.text for line in result_lines(tmp_path.name, None))


@pytest.mark.parametrize("lost", [REPORT, ALLOWED_SIGNERS])
def test_pc_stays_on_with_a_case_that_was_not_sealed(
    live: LiveSystem,
    lab_disk: LabDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lost: str,
) -> None:
    """The run was killed: its folder is there, with everything but its seal."""
    case = case_of(lab_disk()).folder

    def killed(folder: Path, *_others: object) -> None:
        shutil.copytree(case, folder, ignore=shutil.ignore_patterns(lost, RESCUE_FOLDER))

    monkeypatch.setattr(unattended, "_run", killed)
    monkeypatch.setattr(unattended, "disks_of_pc", lambda _stick: (FIXED,))
    with live.disk(make_stick(tmp_path / "stick.img", 128 * MIB)):
        prepare_stick()
        assert examine_unattended() is True
    out = capsys.readouterr().out
    assert "N O   C A S E   W A S   S E A L E D" in out
    assert "The stick is complete" not in out
    assert asked(live) == []


def test_result_fits_one_screen(lab_disk: LabDisk) -> None:
    """Plain VGA shows 25 lines of 80; two more are to come."""
    folder = case_of(lab_disk()).folder
    lines = [line.text for line in result_lines(folder.name, sealed_case(folder))]
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 23

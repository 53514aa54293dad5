"""The command line as the contract has it: exit codes, what goes to which stream, keys, and looking into evidence."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.command import Ran, copied, environment, here, on_terminal, report_of, triage
from tests.conftest import LabDisk
from tests.lab import odd
from tests.lab.disk import BuiltDisk, DiskSpec
from tests.lab.hives import software_hive
from tests.lab.plan import Written
from tests.loops import loop_device, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from triage.cli import triage as commands
from triage.demo import unpack_demo
from triage.model.evidence import EvidenceFormat, WriteProofMethod

MIB = 1 << 20
PHASES = ("starting", "reading the file table", "reading the registry", "reading files", "securing rescued files")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def ran(image: Path) -> Ran:
    """A plain run, its case beside the image."""
    return triage("run", image, "--out", image.with_name("case"))


@pytest.fixture(scope="module")
def case(image: Path, ran: Ran) -> Path:
    assert ran.code == 10
    return image.with_name("case")


@pytest.fixture
def odd_disk(lab_disk: LabDisk) -> BuiltDisk:
    """A disk with names that attack their reader and every form of storage; built once."""
    return lab_disk(spec=DiskSpec(oddities=True))


class TestExitCodes:
    def test_indicators_found(self, ran: Ran) -> None:
        assert ran.code == 10
        assert ran.out.startswith("INDICATORS FOUND: WANNACRY\n")

    @needs_tool("mkntfs")
    def test_nothing_found_in_all_there_is(self, tmp_path: Path) -> None:
        volume = ntfs(tmp_path / "volume.img")
        ended = triage("run", volume, "--out", tmp_path / "case")
        assert (ended.code, report_of(tmp_path / "case").gaps) == (0, ())

    @needs_tool("mkntfs")
    def test_inconclusive(self, tmp_path: Path) -> None:
        volume = ntfs(tmp_path / "volume.img")
        os.truncate(volume, 5 * MIB)
        assert triage("run", volume, "--out", tmp_path / "case", "--no-rescue").code == 3

    def test_verify(self, case: Path, tmp_path: Path) -> None:
        copy = tmp_path / "case"
        run("cp", "-a", case, copy)
        assert triage("verify", copy, "--bag", copy / "rescue").code == 0
        with (copy / "report.html").open("a") as report:
            report.write(" ")
        changed = triage("verify", copy)
        assert (changed.code, changed.out) == (1, "NOT VERIFIED: 1 problem\n")
        assert changed.err.startswith("report.html: ")
        assert here("verify", copy / "none").code == 1

    def test_verify_with_the_fingerprint_of_the_paper_form(self, case: Path, ran: Ran) -> None:
        (fingerprint,) = FINGERPRINT.findall(ran.out)
        assert here("verify", case, "--fingerprint", fingerprint).code == 0
        other = fingerprint[:-1] + ("A" if fingerprint[-1] != "A" else "B")
        assert here("verify", case, "--fingerprint", other).code == 1

    def test_hive(self, image: Path, tmp_path: Path) -> None:
        hive = tmp_path / "SYSTEM"
        for name in ("SYSTEM", "SOFTWARE"):
            hive.write_bytes(cat(f"{image}:v1/Windows/System32/config/{name}"))
            assert here("hive", hive).code == 10
        software_hive(hive)
        assert here("hive", hive).code == 0
        os.truncate(hive, 6000)
        assert here("hive", hive).code in (1, 3)
        hive.write_bytes(b"no hive" * 2000)
        for path in (hive, tmp_path, tmp_path / "none"):
            bad = here("hive", path)
            assert (bad.code, bad.out) == (1, "")
            assert bad.error_line

    def test_demo(self, tmp_path: Path) -> None:
        ended = triage("demo", "--quiet", folder=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        assert "\nVERIFIED: " in ended.out
        again = triage("demo", "--quiet", folder=tmp_path)
        assert (again.code, again.error_line) == (
            1,
            "cannot make triage-demo: File exists; name a new folder with --out",
        )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--no-such-option",),
        ("no-such-command",),
        ("run",),
        ("run", "--out"),
        ("run", "image"),
        ("run", "image", "--out", "case", "--yara-timeout", "0"),
        ("run", "image", "--out", "case", "--yara-timeout", "soon"),
        ("run", "image", "--out", "case", "--no-rescue", "--rescue-to", "bag"),
        ("verify",),
        ("verify", "one", "two"),
        ("list",),
        ("ls",),
        ("cat",),
        ("hive",),
        ("demo", "too much"),
        ("run", "--resume", "none"),
        ("\x1b[31m", "\n"),
    ],
)
def test_usage_errors_are_one_line_that_helps(
    tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = here(*arguments)
    assert (wrong.code, wrong.out) == (2, "")
    assert "; " in wrong.error_line or "exclude" in wrong.error_line
    assert "\x1b" not in wrong.err
    assert list(tmp_path.iterdir()) == []


def test_every_command_has_help() -> None:
    for arguments in ((), *((name,) for name in commands.list_commands(click.Context(commands)))):
        helped = here(*arguments, "--help")
        assert (helped.code, helped.err) == (0, "")
        assert helped.out.startswith("Usage: triage")


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool("losetup", "blockdev")
def test_a_device_is_set_read_only_and_proven_unchanged(image: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    with loop_device(image) as device:
        assert triage("run", device, "--out", case, "--no-rescue").code == 10
        assert run("blockdev", "--getro", device) == "1\n"
        assert "  device  " in here("list", device).out
    (evidence,) = report_of(case).evidence
    assert (evidence.format, evidence.size_bytes) == (EvidenceFormat.DEVICE, image.stat().st_size)
    assert evidence.write_proof is not None
    assert (evidence.write_proof.method, evidence.write_proof.unchanged) == (WriteProofMethod.DEVICE, True)


class TestStreams:
    def test_json_is_the_report_and_nothing_else(self, image: Path, tmp_path: Path) -> None:
        ended = triage("run", image, "--out", tmp_path / "case", "--json", "--no-rescue")
        assert (ended.code, ended.err) == (10, "")
        assert ended.out == (tmp_path / "case" / "report.json").read_text()
        assert json.loads(ended.out)["schema"] == "triage-report/1"

    def test_quiet_shows_no_progress(self, image: Path, tmp_path: Path) -> None:
        ended = triage("run", image, "--out", tmp_path / "case", "--quiet", "--no-rescue", "--hash-evidence")
        assert (ended.code, ended.err) == (10, "")

    def test_progress_in_plain_lines_where_there_is_no_terminal(self, ran: Ran) -> None:
        lines = ran.err.splitlines()
        assert lines[0] == "triage: starting"
        assert all(line.startswith("triage: ") for line in lines)
        assert all(line.isprintable() for line in lines)

    def test_hashing_is_progress_too(self, image: Path, tmp_path: Path) -> None:
        ended = triage("run", image, "--out", tmp_path / "case", "--no-rescue", "--hash-evidence")
        assert ended.err.splitlines()[0] == "triage: hashing the evidence: 4.19MB/27.3MB"
        assert ended.err.count("hashing the evidence") == 2
        (evidence,) = report_of(tmp_path / "case").evidence
        assert evidence.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()

    def test_bar_on_a_terminal(self, image: Path, tmp_path: Path) -> None:
        """Bytes, rate, time left and what is being done, on a terminal that does not know its size."""
        shown = on_terminal("run", image, "--out", tmp_path / "case", "--no-rescue", "--hash-evidence")
        assert shown.code == 10
        bars = shown.out.replace("\n", "\r").split("\r")
        hashing = [bar for bar in bars if bar.startswith("hashing the evidence: 100%|")]
        assert re.search(r"27\.3M/27\.3M \[\d+:\d+<\d+:\d+, +[0-9.]+[kMG]?B/s\]", hashing[-1])
        assert any(bar.startswith("starting: ") for bar in bars)
        assert any(re.match(r"writing the report: 100%\|.*3\.\d+M/3\.\d+M \[.*B/s", bar) for bar in bars)
        assert all(len(bar) <= 80 for bar in bars if "B/s" in bar)

    def test_a_reader_that_goes_away_is_no_fault(self, image: Path) -> None:
        for arguments in (("ls", "-r", f"{image}:v1/"), ("cat", f"{image}:v1/$LogFile")):
            with subprocess.Popen(
                (sys.executable, "-m", "triage", *arguments),
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as process:
                assert process.stdout is not None
                process.stdout.read(1)
                process.stdout.close()
                assert process.stderr is not None
                assert process.stderr.read() == b""

    @pytest.mark.parametrize("command", ["list", "--help", "cat"])
    def test_output_that_cannot_be_written_is_told_in_a_line(self, image: Path, command: str) -> None:
        place = {"list": (image,), "cat": (f"{image}:v1/$LogFile",)}
        with open("/dev/full", "wb") as full:
            ended = subprocess.run(
                (sys.executable, "-m", "triage", command, *place.get(command, ())),
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (ended.returncode, ended.stderr) == (1, "triage: standard output: No space left on device\n")

    def test_closed_streams_are_no_way_into_a_file(self, image: Path, tmp_path: Path) -> None:
        command = f'exec "{sys.executable}" -m triage run "{image}" --out "{tmp_path}/case" <&- >&- 2>&-'
        assert subprocess.run(("sh", "-c", command), check=False).returncode == 10
        assert triage("verify", tmp_path / "case").code == 0

    def test_a_name_that_the_terminal_cannot_show_is_escaped(self, image: Path) -> None:
        shown = triage("ls", f"{image}:v1/Users", PYTHONIOENCODING="latin-1")
        assert shown.code == 0
        assert r"Users/\u674e\u96f7" in shown.out

    def test_in_chinese(self, image: Path, tmp_path: Path) -> None:
        shown = triage("--lang", "zh_CN", "run", image, "--out", tmp_path / "case", "--no-rescue")
        assert shown.out.startswith("发现感染指标：WANNACRY\n")
        assert '<html lang="zh-CN">' in (tmp_path / "case" / "report.html").read_text(encoding="utf-8")

    @pytest.mark.parametrize("language", ["fr", "zh_TW", "", "../x"])
    def test_a_language_that_we_do_not_have(self, image: Path, language: str) -> None:
        ended = triage("--lang", language, "list", image)
        assert (ended.code, ended.out) == (2, "")
        assert ended.error_line == f"there are no messages in the language {language}; the languages are: en, zh_CN"

    @pytest.mark.parametrize("language", ["en", "en_GB.UTF-8", "C", "zh", "zh_CN.UTF-8"])
    def test_a_language_by_any_of_its_names(self, image: Path, language: str) -> None:
        assert triage("--lang", language, "list", image).code == 0


@needs_tool("ssh-keygen")
class TestSigningKeys:
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_each_kind_of_key_seals_and_its_fingerprint_is_printed(
        self, image: Path, tmp_path: Path, kind: str
    ) -> None:
        key, case = keygen(tmp_path, kind), tmp_path / "case"
        ended = triage("run", image, "--out", case, "--no-rescue", "--sign-key", key)
        fingerprint = run("ssh-keygen", "-l", "-f", key).split()[1]
        assert ended.out.endswith(f"Key fingerprint, for the paper form: {fingerprint}\n")
        assert fingerprint in triage("verify", case).out
        signer = (case / "allowed_signers").read_text().split()[0]
        checked = subprocess.run(
            ("ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", signer, "-n", "triage-report",
             "-s", "SHA256SUMS.sig"),
            cwd=case, input=(case / "SHA256SUMS").read_bytes(), capture_output=True, check=True,
        )  # fmt: skip
        assert fingerprint.encode() in checked.stdout
        subprocess.run(("sha256sum", "--check", "--quiet", "SHA256SUMS"), cwd=case, check=True)

    def test_passphrase_is_asked_for_on_the_terminal(self, image: Path, tmp_path: Path) -> None:
        key = keygen(tmp_path, "ed25519", "correct horse")
        options = ("run", image, "--no-rescue", "--quiet", "--sign-key", key, "--out")
        right = on_terminal(*options, tmp_path / "case", answers=[(b"Passphrase", b"correct horse\n")])
        assert right.code == 10
        assert "correct horse" not in right.out
        assert run("ssh-keygen", "-l", "-f", key).split()[1] in right.out

    def test_wrong_passphrase_costs_nothing(self, image: Path, tmp_path: Path) -> None:
        key = keygen(tmp_path, "ed25519", "correct horse")
        options = ("run", image, "--quiet", "--sign-key", key, "--out", tmp_path / "case")
        for answer, code, words in (
            (b"wrong\n", 2, f"triage: wrong passphrase for the key {key}"),
            (b"\n", 2, "triage: "),
            (b"\x03", 130, "triage: interrupted"),
            (b"\x04", 130, "triage: interrupted"),
        ):
            wrong = on_terminal(*options, answers=[(b"Passphrase", answer)])
            assert wrong.code == code
            assert words in wrong.out
        assert not (tmp_path / "case").exists()

    def test_without_a_terminal_nothing_is_asked(self, image: Path, tmp_path: Path) -> None:
        key = keygen(tmp_path, "rsa", "correct horse")
        asked = triage("run", image, "--out", tmp_path / "case", "--sign-key", key)
        assert asked.code == 2
        assert asked.error_line.startswith("the key needs a passphrase and there is no terminal to ask for it; ")
        assert not (tmp_path / "case").exists()

    def test_what_is_no_private_key_is_refused(self, image: Path, tmp_path: Path) -> None:
        key = keygen(tmp_path, "ed25519")
        (tmp_path / "text").write_text("no key\n")
        for given, words in {
            key.with_suffix(".pub"): "is a public key; give the private key, the file without .pub",
            tmp_path / "text": "is not an OpenSSH private key; make one with: ssh-keygen -t ed25519",
            tmp_path / "none": "No such file or directory",
            tmp_path: "Is a directory",
        }.items():
            refused = here("run", image, "--out", tmp_path / "case", "--sign-key", given)
            assert (refused.code, words in refused.error_line) == (2, True)
        assert not (tmp_path / "case").exists()


class TestLooking:
    @pytest.fixture(autouse=True)
    def _evidence_stays_as_it_is(self, image: Path) -> Iterator[None]:
        before = image.read_bytes()
        yield
        assert image.read_bytes() == before

    def test_list(self, image: Path) -> None:
        listed = here("list", image)
        assert (listed.code, listed.err) == (0, "")
        first, second = listed.out.splitlines()
        assert first.startswith(f"{image}  raw  ")
        assert second.startswith("v1  offset 1048576  25.2MB  mbr 07  ntfs")
        assert second.endswith("will be examined")

    def test_ls_of_a_folder_and_of_everything_below(self, image: Path) -> None:
        listed = here("ls", f"{image}:v1/Users")
        assert (listed.code, listed.err) == (0, "")
        assert [line.split("  ")[-1] for line in listed.out.splitlines()] == ["Users/alice", "Users/李雷"]
        below = here("ls", "-r", f"{image}:v1/Users").out.splitlines()
        assert any(line.endswith("  Users/李雷/Documents/letter.doc") for line in below)
        assert all("  Users/" in line for line in below)
        assert here("ls", f"{image}:v1/").out == here("ls", f"{image}:v1").out

    def test_what_is_not_there_is_told(self, image: Path) -> None:
        told_of: dict[str | bytes, str] = {
            f"{image}:v1/none": "no such path on the volume: none; triage ls shows what is there",
            f"{image}:v9/Users": "no volume v9 in this evidence; there are: v1",
            f"{image}": f"name a volume too: {image}:v1/…; triage list shows them",
            f"{image}:v1/\x1b[31m": "no such path on the volume: \\x1b[31m; ",
            b"%s:v1/\xff" % os.fsencode(image): "no such path on the volume: \\udcff; ",
        }
        for address, words in told_of.items():
            for command in ("ls", "cat"):
                told = here(command, address)
                assert (told.code, told.out, words in told.error_line) == (2, "", True), told
        assert here("cat", f"{image}:v1/Users").error_line == "Users is a folder; list it with triage ls"
        assert here("cat", f"{image}:v1/").error_line == "/ is a folder; list it with triage ls"
        assert "no such stream" in here("cat", f"{image}:v1/Windows/win.ini:none").error_line

    def test_cat_knows_names_in_any_case(self, image: Path) -> None:
        assert cat(f"{image}:v1/windows/WIN.INI") == cat(f"{image}:v1/Windows/win.ini")

    def test_cat_gives_every_stream_to_the_byte(self, odd_disk: BuiltDisk) -> None:
        """Blanks, Chinese, surrogates, hard links, named streams, compressed, sparse and fragmented files."""
        digest = hashlib.sha256(odd_disk.image.read_bytes()).hexdigest()
        wanted = {
            f"{odd.NAMES_FOLDER}/{name}"
            for name in ("new\nline.txt", "trailing space ", "lone high \ud83d surrogate.txt", "\x1b[31mred\x1b[0m.txt")
        }
        streams = [
            one
            for one in odd_disk.streams
            if one.sha256 is not None
            and not one.deleted
            and (
                one.path in wanted
                or one.written in (Written.COMPRESSED, Written.SPARSE)
                or one.stream == "备注"
                or one.path.endswith(("/linked.txt", "fragmented-1.txt", "uninitialised-middle.bin", "报价单.xlsx"))
            )
        ]
        assert len(streams) >= 10
        for one in streams:
            for path in (one.path, *one.other_paths):
                name = f"{path}:{one.stream}" if one.stream else path
                content = cat(os.fsencode(odd_disk.image) + b":v1/" + name.encode("utf-8", "surrogatepass"))
                assert hashlib.sha256(content).hexdigest() == one.sha256, ascii(name)
        assert hashlib.sha256(odd_disk.image.read_bytes()).hexdigest() == digest

    def test_ls_shows_hostile_names_harmlessly_and_named_streams(self, odd_disk: BuiltDisk) -> None:
        names = here("ls", f"{odd_disk.image}:v1/{odd.NAMES_FOLDER}")
        assert names.code == 0
        assert all(line.isprintable() for line in names.out.splitlines())
        assert len(names.out.splitlines()) == len(odd.HOSTILE_NAMES) + 1
        streams = here("ls", f"{odd_disk.image}:v1/Users/alice/Documents/streams/download.pdf").out
        assert "download.pdf:Zone.Identifier" in streams
        assert "download.pdf:备注" in streams

    def test_what_cannot_be_decoded_is_said(self, odd_disk: BuiltDisk) -> None:
        refused = here("cat", f"{odd_disk.image}:v1/{odd.FORMS_FOLDER}/efs.docx")
        assert refused.code == 1
        assert "efs.docx was not read whole: " in refused.error_line

    def test_cat_of_a_damaged_file_gives_what_there_is_and_says_so(self, image: Path, tmp_path: Path) -> None:
        evidence = copied(image, tmp_path)
        os.truncate(evidence, 3 * MIB)
        listed = here("ls", "-r", f"{evidence}:v1/Users").out.splitlines()
        assert listed != []
        cut = [here("cat", f"{evidence}:v1/{line.split('  ')[-1]}") for line in listed if line.startswith("-")]
        damaged = [one for one in cut if one.code == 1]
        assert damaged != []
        assert all("was not read whole: " in one.error_line for one in damaged)


def cat(address: str | bytes) -> bytes:
    """Return what `triage cat` writes."""
    return subprocess.run((sys.executable, "-m", "triage", "cat", address), check=True, capture_output=True).stdout


def ntfs(path: Path) -> Path:
    """Format a small volume with no Windows on it."""
    sparse(path, 8 * MIB)
    run("mkntfs", "-F", "-Q", "-q", "-s", "512", "-p", "0", "-H", "255", "-S", "63", path)
    return path


def keygen(folder: Path, kind: str, passphrase: str = "") -> Path:
    """Return a private key made by ssh-keygen; its public key lies beside it."""
    key = folder / f"id_{kind}"
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", key)
    return key

"""The seal, witnessed by the stock ssh-keygen and sha256sum."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import needs_tool
from tests.sample_report import make_case
from triage.model.errors import ParseError, ReportError, UsageError
from triage.report import sshsig
from triage.report.case_files import parse_sums, sums_line
from triage.report.seal import SigningKey, seal_case
from triage.report.verify import verify_case

pytestmark = needs_tool("ssh-keygen", "sha256sum")

KINDS = [("ed25519", ()), ("ecdsa", ("-b", "256")), ("ecdsa", ("-b", "384")), ("ecdsa", ("-b", "521")), ("rsa", ())]


def no_passphrase() -> str:
    raise AssertionError("a passphrase was asked for")


def make_key(path: Path, kind: str = "ed25519", *options: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, *options, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def stock_verify(case: Path, signer: str, suffix: str = "") -> subprocess.CompletedProcess[bytes]:
    command = ["ssh-keygen", "-Y", "verify", "-f", f"allowed_signers{suffix}", "-I", signer, "-n", "triage-report"]
    sums = (case / "SHA256SUMS").read_bytes()
    return subprocess.run(
        [*command, "-s", f"SHA256SUMS{suffix}.sig"], cwd=case, input=sums, capture_output=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = tmp_path / "case"
    case.mkdir()
    (case / "report.json").write_text("{}")
    (case / "报告 1.txt").write_text("text")
    return case


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_stock_programs_accept_the_seal(tmp_path: Path, folder: Path, kind: str, options: tuple[str, ...]) -> None:
    path = make_key(tmp_path / "key", kind, *options)
    key = SigningKey.load(path, no_passphrase)
    seal = seal_case(folder, key, "case 1")
    printed = subprocess.run(["ssh-keygen", "-lf", str(path)], check=True, capture_output=True, text=True).stdout
    assert seal.fingerprint == key.fingerprint == printed.split()[1]
    assert seal.signer == "case-1"
    verified = stock_verify(folder, seal.signer)
    assert verified.returncode == 0, verified.stderr
    assert seal.fingerprint.encode() in verified.stdout
    assert subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=False).returncode == 0
    assert verify_case(folder).ok


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_signature_by_ssh_keygen_is_accepted(
    tmp_path: Path, folder: Path, kind: str, options: tuple[str, ...]
) -> None:
    path = make_key(tmp_path / "key", kind, *options)
    key = SigningKey.load(path, no_passphrase)
    seal_case(folder, key, "case1")
    (folder / "SHA256SUMS.sig").unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(path), "-n", "triage-report", "SHA256SUMS"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    assert verify_case(folder).problems == ()


def test_deterministic_keys_sign_as_ssh_keygen_does(tmp_path: Path, folder: Path) -> None:
    """Ed25519 and RSA signatures have one form, so ours and OpenSSH's are the same bytes, armour included."""
    for kind in ("ed25519", "rsa"):
        path = make_key(tmp_path / kind, kind)
        message = tmp_path / f"{kind}-message"
        message.write_bytes(b"x" * 100)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(path), "-n", "triage-report", str(message)]
        subprocess.run(command, check=True, capture_output=True)
        ours = SigningKey.load(path, no_passphrase).sign(b"x" * 100)
        assert ours == message.with_name(f"{kind}-message.sig").read_bytes()


def test_a_whole_case_with_its_bag(tmp_path: Path) -> None:
    key = SigningKey.generate()
    seal = make_case(tmp_path / "case", key)
    assert stock_verify(tmp_path / "case", seal.signer).returncode == 0
    for place, sums in (("", "SHA256SUMS"), ("rescue", "manifest-sha256.txt")):
        command = ["sha256sum", "--strict", "--quiet", "-c", sums]
        assert subprocess.run(command, cwd=tmp_path / "case" / place, check=False).returncode == 0
    listed, odd = parse_sums((tmp_path / "case" / "SHA256SUMS").read_bytes())
    assert odd == []
    assert set(listed) == {
        "allowed_signers", "cleanup.html", "cleanup.ps1", "deleted.jsonl", "digests.hashdeep", "excluded.jsonl",
        "findings.jsonl", "report.html", "report.json", "timeline.body", "timeline.jsonl", "usn.csv",
        "rescue/bag-info.txt", "rescue/bagit.txt", "rescue/manifest-sha256.txt",
        "rescue/tagmanifest-sha256.txt", "rescue-manifest/manifest-sha256.txt",
        "rescue-manifest/tagmanifest-sha256.txt",
    }  # fmt: skip
    assert seal.files == len(listed)


def test_a_case_can_be_sealed_anew(folder: Path) -> None:
    seal_case(folder, SigningKey.generate(), "first")
    (folder / "report.json").write_text("{ }")
    assert not verify_case(folder).ok
    second = SigningKey.generate()
    seal_case(folder, second, "second")
    result = verify_case(folder)
    assert result.ok
    assert (result.signer, result.fingerprint) == ("second", second.fingerprint)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("signer", "expected"),
    [
        ("a b\n*?!,\"#", "a-b-------"), ("lab@example.org", "lab@example.org"), ("案件-1", "案件-1"),
        ("", "triage"), ("\ud800 ", "triage"),
    ],
)  # fmt: skip
def test_any_signer_name_becomes_one_that_ssh_keygen_takes(folder: Path, signer: str, expected: str) -> None:
    seal = seal_case(folder, SigningKey.generate(), signer)
    assert seal.signer == expected
    assert stock_verify(folder, seal.signer).returncode == 0
    assert verify_case(folder).signer == expected


def test_the_passphrase_is_asked_for_and_must_be_right(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key", passphrase="correct horse")
    assert SigningKey.load(path, lambda: "correct horse").fingerprint.startswith("SHA256:")
    for wrong in ("wrong", ""):
        with pytest.raises(UsageError, match="wrong passphrase"):
            SigningKey.load(path, lambda text=wrong: text)  # type: ignore[misc]


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200] + b"\n-----END OPENSSH PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"\x00\xff not a key"), "is not an OpenSSH private key"),
        (lambda path: path.write_bytes(b""), "is not an OpenSSH private key"),
        (lambda path: damaged(make_key(path)), "is not an OpenSSH private key"),
        (lambda path: path.write_bytes(make_key(path).with_name("key.pub").read_bytes()), "is a public key"),
        (lambda path: make_key(path, "rsa", "-m", "PEM"), "is not an OpenSSH private key"),
        (lambda path: path.mkdir(), "cannot read the key"),
        (lambda path: None, "cannot read the key"),
    ],
    ids=["noise", "empty", "damaged", "public", "pem", "folder", "missing"],
)
def test_what_is_no_key_is_refused_in_one_line(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(path := tmp_path / "key")
    with pytest.raises(UsageError, match=message) as raised:
        SigningKey.load(path, no_passphrase)
    assert "\n" not in str(raised.value)


def test_a_dsa_key_is_refused(tmp_path: Path) -> None:
    try:
        path = make_key(tmp_path / "key", "dsa")
    except subprocess.CalledProcessError:
        pytest.skip("this ssh-keygen makes no DSA keys")
    with pytest.raises(UsageError, match=r"DSA|not an OpenSSH private key"):
        SigningKey.load(path, no_passphrase)


def test_a_link_or_an_unsealable_name_in_the_case_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("report.json")
    with pytest.raises(ReportError, match="'link'"):
        seal_case(folder, SigningKey.generate(), "x")
    (folder / "link").unlink()
    (folder / "a\nb").write_text("")
    with pytest.raises(ReportError, match="name that cannot be sealed"):
        seal_case(folder, SigningKey.generate(), "x")


@given(data=st.binary(max_size=300))
def test_no_bytes_but_canonical_ones_are_a_signature(data: bytes) -> None:
    with pytest.raises(ParseError):
        sshsig.parse_signature(data)
    with pytest.raises(ParseError):
        sshsig.parse_signer_line(data)


@given(strings=st.lists(st.binary(max_size=20), max_size=5), cut=st.integers(1, 8))
def test_wire_strings(strings: list[bytes], cut: int) -> None:
    data = b"".join(map(sshsig.wire_string, strings))
    assert sshsig.split_wire_strings(data) == strings
    if strings and cut < len(strings[-1]) + 4:
        with pytest.raises(ParseError):
            sshsig.split_wire_strings(data[:-cut])


@given(number=st.integers(0, 1 << 600))
def test_mpint_is_the_shortest_that_is_not_negative(number: int) -> None:
    """RFC 4251 5: two's complement, most significant byte first, no needless leading byte."""
    (value,) = sshsig.split_wire_strings(sshsig.wire_mpint(number))
    assert int.from_bytes(value, "big", signed=True) == number
    assert not value.startswith(b"\x00") or value[1] >= 0x80


@given(path=st.text(st.characters()))
def test_a_sums_line_is_read_back_or_refused(path: str) -> None:
    digest = "0a" * 32
    try:
        line = sums_line(digest, path)
    except ValueError:
        return
    assert parse_sums(line.encode()) == ({path: digest}, [])

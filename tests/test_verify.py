"""A case that is not as it was sealed fails, and the file is named."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.needs import needs_tool
from tests.sample_report import make_case
from triage.report.case import RENDERERS
from triage.report.case_files import read_small, sha256_file
from triage.report.seal import SigningKey, seal_case
from triage.report.sshsig import signer_line
from triage.report.verify import VerifyResult, verify_case

KEY = SigningKey.generate()
PAYLOAD = "rescue/data/v2/文档/报告.docx"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed") / "case"
    make_case(folder, KEY)
    return folder


@pytest.fixture
def case(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "case"))


def named(result: VerifyResult) -> list[str]:
    return [problem.path for problem in result.problems]


def what(result: VerifyResult, path: str) -> str:
    return next(problem.what for problem in result.problems if problem.path == path)


def flip(path: Path, at: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def every_file(case: Path) -> list[str]:
    return sorted(str(path.relative_to(case)) for path in case.rglob("*") if path.is_file())


def test_an_untouched_case_is_whole(case: Path) -> None:
    seen: list[int] = []
    result = verify_case(case, on_bytes=seen.append)
    assert result.problems == ()
    assert (result.signer, result.fingerprint) == ("2026-0417-reception", KEY.fingerprint)
    assert (result.rescued.files, result.rescued.bytes) == (3, 25)
    assert result.files == len(RENDERERS) + 7  # the bag's lists, their copies, who signed
    assert sum(seen) > 25


def test_a_flipped_bit_anywhere_names_that_file_alone(case: Path) -> None:
    """The one file that others depend on is the list itself: flipped, it is named first."""
    paths = every_file(case)
    assert len(paths) == len(RENDERERS) + 7 + 2 + 3
    for path in paths:
        good = (case / path).read_bytes()
        for at in range(0, len(good), max(1, len(good) // 7)):
            flip(case / path, at)
            result = verify_case(case)
            if path == "SHA256SUMS":
                assert named(result)[0] == path
            else:
                assert named(result) == [path]
            (case / path).write_bytes(good)
    assert verify_case(case).ok


def test_every_flip_in_list_signature_and_signer_is_noticed(tmp_path: Path) -> None:
    case = tmp_path / "case"
    case.mkdir()
    (case / "report.json").write_text("{}")
    seal_case(case, KEY, "x")
    for name in ("SHA256SUMS", "SHA256SUMS.sig", "allowed_signers"):
        good = (case / name).read_bytes()
        for at in range(len(good)):
            flip(case / name, at, 1 << (at % 7))
            assert named(verify_case(case))[0] == name, at
            (case / name).write_bytes(good)


def test_a_missing_file_is_named(case: Path) -> None:
    for path in every_file(case):
        good = (case / path).read_bytes()
        (case / path).unlink()
        assert named(verify_case(case)) == [path]
        assert what(verify_case(case), path) == "missing"
        (case / path).write_bytes(good)


@pytest.mark.parametrize(
    "path",
    [
        "extra.txt", "rescue/extra", "rescue/data/v2/extra", "rescue-manifest/extra", "a/b/c", "SHA256SUMS.sig.bak",
        "SHA256SUMS.0.sig", "SHA256SUMS.01.sig", "SHA256SUMS.x.sig", "allowed_signers.bak", ".hidden",
        "a\nb", "rescue/data/\x1b", os.fsdecode(b"\xff"), "deep/rescue/data/x", "deep/SHA256SUMS.1.sig",
    ],
)  # fmt: skip
def test_an_added_file_is_named(case: Path, path: str) -> None:
    (case / path).parent.mkdir(parents=True, exist_ok=True)
    (case / path).write_text("")
    assert named(verify_case(case)) == [path]
    assert "added" in what(verify_case(case), path)


def test_a_file_in_place_of_a_folder_is_named(case: Path) -> None:
    shutil.rmtree(case / "rescue/data")
    (case / "rescue/data").write_text("")
    assert {"rescue/data", PAYLOAD} <= set(named(verify_case(case)))


@pytest.mark.parametrize("path", ["report.html", PAYLOAD, "rescue/bagit.txt"])
def test_a_renamed_file_is_missing_and_added(case: Path, path: str) -> None:
    (case / path).rename(case / f"{path}.old")
    assert sorted(named(verify_case(case))) == [path, f"{path}.old"]


@pytest.mark.parametrize("path", ["report.html", PAYLOAD, "SHA256SUMS", "SHA256SUMS.sig", "allowed_signers"])
def test_a_link_is_no_file_even_to_the_same_content(case: Path, tmp_path: Path, path: str) -> None:
    (case / path).rename(tmp_path / "same")
    (case / path).symlink_to(tmp_path / "same")
    assert path in named(verify_case(case))


def test_a_link_to_a_folder_a_pipe_and_a_link_of_the_bag(case: Path, tmp_path: Path) -> None:
    (case / "link").symlink_to(tmp_path)
    os.mkfifo(case / "pipe")
    os.mkfifo(case / "rescue/data/pipe")
    assert set(named(verify_case(case))) == {"link", "pipe", "rescue/data/pipe"}
    (case / "link").unlink()
    shutil.move(case / "rescue", tmp_path / "elsewhere")
    (case / "rescue").symlink_to(tmp_path / "elsewhere")
    assert "rescue" in named(verify_case(case))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data + data.splitlines(keepends=True)[0],
        lambda data: data.removesuffix(b"\n"),
        lambda data: data + b"\n",
        lambda data: data + b"0a" * 32 + b"  ../outside\n",
        lambda data: data + b"0a" * 32 + b"  /etc/hostname\n",
        lambda data: data + b"0a" * 32 + b"  a//b\n",
        lambda data: data + b"\\" + b"0a" * 32 + b"  a\\nb\n",
        lambda data: data + b"0a" * 32 + b" *report.json2\n",
        lambda data: data + b"0A" * 32 + b"  x\n",
        lambda data: data + b"0a" * 32 + b"  \xff\n",
        lambda data: data + b"0a" * 32 + b"  SHA256SUMS\n",
        lambda data: data + b"0a" * 32 + b"  SHA256SUMS.1.sig\n",
        lambda data: data + b"0a" * 32 + b"  rescue/data/x\n",
        lambda data: b"# comment\n" + data,
    ],
)
def test_an_odd_list_fails_even_when_it_is_signed(case: Path, change: Callable[[bytes], bytes]) -> None:
    sums = change((case / "SHA256SUMS").read_bytes())
    (case / "SHA256SUMS").write_bytes(sums)
    (case / "SHA256SUMS.sig").write_bytes(KEY.sign(sums))
    assert named(verify_case(case))[0] == "SHA256SUMS"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data + b"\n",
        lambda data: b"\n" + data,
        lambda data: b"a comment\n" + data,
        lambda data: data.removesuffix(b"\n"),
        lambda data: data.replace(b"SIGNATURE-----\n", b"SIGNATURE-----\n\n", 1),
        lambda data: data[:60] + b"\n" + data[60:],
        lambda data: data[:60] + b" " + data[60:],
        lambda data: data + data,
        lambda data: b"",
    ],
)
def test_only_the_canonical_armour_is_accepted(case: Path, change: Callable[[bytes], bytes]) -> None:
    signature = case / "SHA256SUMS.sig"
    signature.write_bytes(change(signature.read_bytes()))
    assert named(verify_case(case)) == ["SHA256SUMS.sig"]


def test_base64_with_other_padding_bits_is_not_canonical(case: Path) -> None:
    """The last digit before `=` has bits that decoders pass over; a signature with other ones is refused."""
    other = SigningKey.generate()
    for key in (KEY, other):
        signature = key.sign(b"x")
        if b"=" in signature:
            at = signature.index(b"=") - 1
            changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
            (case / "SHA256SUMS.sig").write_bytes(changed)
            assert named(verify_case(case)) == ["SHA256SUMS.sig"]


def test_another_key_another_purpose_another_message(case: Path) -> None:
    sums = (case / "SHA256SUMS").read_bytes()
    signature = case / "SHA256SUMS.sig"
    signature.write_bytes(SigningKey.generate().sign(sums))
    assert what(verify_case(case), "SHA256SUMS.sig") == "not the key that made the signature"
    signature.write_bytes(KEY.sign(sums + b" "))
    assert what(verify_case(case), "SHA256SUMS.sig") == "the signature does not fit SHA256SUMS"
    assert verify_case(case).signer is None


@needs_tool("ssh-keygen")
def test_a_signature_for_another_purpose_fails(case: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    seal_case(case, SigningKey.load(key, str), "x")
    (case / "SHA256SUMS.sig").unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "file", "SHA256SUMS"]
    subprocess.run(command, cwd=case, check=True, capture_output=True)
    assert named(verify_case(case)) == ["SHA256SUMS.sig"]
    assert "another purpose" in what(verify_case(case), "SHA256SUMS.sig")


def test_an_edited_signer_line_is_named(case: Path) -> None:
    line = case / "allowed_signers"
    good = line.read_bytes()
    for bad in (
        signer_line("someone-else", KEY.public_key),
        signer_line("2026-0417-reception", SigningKey.generate().public_key),
        good + signer_line("second", SigningKey.generate().public_key),
        good.replace(b"triage-report", b"*"),
        good.replace(b' namespaces="triage-report"', b""),
        b"# comment\n" + good,
        good.replace(b"\n", b" comment\n"),
    ):
        line.write_bytes(bad)
        assert named(verify_case(case)) == ["allowed_signers"]


def test_a_case_sealed_anew_by_another_key_is_told_by_the_fingerprint(case: Path) -> None:
    assert verify_case(case, expected_fingerprint=KEY.fingerprint).ok
    assert verify_case(case, expected_fingerprint=KEY.fingerprint.removeprefix("SHA256:")).ok
    (case / "report.json").write_text("{}")
    seal_case(case, SigningKey.generate(), "forger")
    assert verify_case(case).ok
    assert named(verify_case(case, expected_fingerprint=KEY.fingerprint)) == ["allowed_signers"]


def test_further_signers(case: Path) -> None:
    sums = (case / "SHA256SUMS").read_bytes()
    second = SigningKey.generate()
    (case / "SHA256SUMS.1.sig").write_bytes(second.sign(sums))
    assert named(verify_case(case)) == ["allowed_signers.1"]
    (case / "allowed_signers.1").write_bytes(signer_line("court", second.public_key))
    result = verify_case(case)
    assert result.ok
    assert [(signer.name, signer.fingerprint) for signer in result.further] == [("court", second.fingerprint)]
    (case / "SHA256SUMS.1.sig").write_bytes(second.sign(sums).replace(b"\n", b"\r\n"))
    assert named(verify_case(case)) == ["SHA256SUMS.1.sig"]
    (case / "SHA256SUMS.1.sig").write_bytes(second.sign(sums + b"x"))
    assert named(verify_case(case)) == ["SHA256SUMS.1.sig"]
    (case / "SHA256SUMS.1.sig").write_bytes(second.sign(sums))
    (case / "allowed_signers.1").write_bytes(signer_line("court", KEY.public_key))
    assert named(verify_case(case)) == ["allowed_signers.1"]
    good = signer_line("court", second.public_key)
    for bad in (good.replace(b"ssh-ed25519", b"ssh-rsa", 1), good + good, good.replace(b" ssh", b"  ssh"), b""):
        (case / "allowed_signers.1").write_bytes(bad)
        assert named(verify_case(case)) == ["allowed_signers.1"]
    (case / "allowed_signers.1").write_bytes(good)
    (case / "SHA256SUMS.1.sig").unlink()
    assert named(verify_case(case)) == ["SHA256SUMS.1.sig"]


def test_a_bag_elsewhere(tmp_path: Path) -> None:
    case, bag = tmp_path / "case", tmp_path / "bag"
    make_case(case, KEY, bag)
    assert verify_case(case).rescued.files == 3
    flip(bag / "data/v2/a.txt", 0)
    assert named(verify_case(case)) == [f"{bag}/data/v2/a.txt"]
    flip(bag / "data/v2/a.txt", 0)
    os.mkfifo(bag / "data/pipe")
    assert named(verify_case(case)) == [f"{bag}/data/pipe"]
    (bag / "data/pipe").unlink()
    bag.rename(tmp_path / "moved")
    lost = verify_case(case)
    assert named(lost) == [str(bag)]
    assert "--bag" in lost.problems[0].what
    assert verify_case(case, tmp_path / "moved").ok
    assert named(verify_case(case, tmp_path / "nowhere")) == [str(tmp_path / "nowhere")]
    (tmp_path / "moved" / "bag-info.txt").write_text("Payload-Oxum: 1.1\n")
    assert named(verify_case(case, tmp_path / "moved")) == [f"{tmp_path}/moved/bag-info.txt"]


def test_another_bag_that_is_valid_in_itself_fails(tmp_path: Path, case: Path) -> None:
    shutil.rmtree(case / "rescue")
    make_case(tmp_path / "other", KEY)
    (tmp_path / "other/rescue/data/v2/a.txt").unlink()
    shutil.copytree(tmp_path / "other" / "rescue", case / "rescue")
    assert named(verify_case(case)) == ["rescue/data/v2/a.txt"]


def test_a_wrong_oxum_in_a_sealed_bag_is_told(case: Path) -> None:
    """A bag whose writer miscounted: all digests hold, the sum does not."""
    info = case / "rescue/bag-info.txt"
    info.write_text("Payload-Oxum: 26.3\n")
    tags = case / "rescue/tagmanifest-sha256.txt"
    lines = [line for line in tags.read_text().splitlines() if not line.endswith("bag-info.txt")]
    lines.append(f"{hashlib.sha256(info.read_bytes()).hexdigest()}  bag-info.txt")
    tags.write_text("\n".join(lines) + "\n")
    shutil.copy(tags, case / "rescue-manifest")
    seal_case(case, KEY, "x")
    assert named(verify_case(case)) == ["rescue/bag-info.txt"]


def test_rescued_files_without_a_sealed_manifest_fail(case: Path) -> None:
    shutil.rmtree(case / "rescue-manifest")
    seal_case(case, KEY, "x")
    assert "rescue-manifest/manifest-sha256.txt" in named(verify_case(case))


def test_a_missing_payload_is_missed_whatever_else_is_wrong(case: Path) -> None:
    """Both copies of the manifest damaged: the payload counts as unchecked, not as whole."""
    for name in ("rescue/manifest-sha256.txt", "rescue-manifest/manifest-sha256.txt"):
        flip(case / name, 0)
    result = verify_case(case)
    assert {"rescue/manifest-sha256.txt", "rescue-manifest/manifest-sha256.txt", "rescue/data"} <= set(named(result))
    assert result.rescued.files == 0


def test_what_turns_into_a_link_or_a_pipe_is_not_followed(tmp_path: Path) -> None:
    """Between the listing and the reading a file can be replaced; neither reader follows or waits."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"Too many levels|not a regular file"):
            sha256_file(tmp_path / name)
        with pytest.raises(OSError, match=r"Too many levels|not a regular file"):
            read_small(tmp_path / name)
    with pytest.raises(OSError, match="larger than"):
        read_small(tmp_path / "file", limit_bytes=0)


def test_what_is_no_case_is_told_without_an_exception(tmp_path: Path) -> None:
    assert named(verify_case(tmp_path / "nowhere")) == [str(tmp_path / "nowhere")]
    assert named(verify_case(tmp_path)) == ["SHA256SUMS"]
    (tmp_path / "SHA256SUMS").write_bytes(b"")
    assert {"SHA256SUMS.sig", "allowed_signers"} & set(named(verify_case(tmp_path)))
    (tmp_path / "file").write_text("")
    assert not verify_case(tmp_path / "file").ok

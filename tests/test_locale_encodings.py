"""In a locale of another encoding names are rescued, listed and verified as in one of UTF-8."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.command import Argument, seen, start, triage
from tests.needs import needs_tool

pytestmark = [needs_tool("localedef"), needs_tool("sha256sum")]


@pytest.fixture(params=[("zh_CN", "GBK"), ("en_US", "ISO-8859-1")], ids="-".join)
def locale(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A locale made for the test, as the environment names it."""
    language, encoding = request.param
    name = f"{language}.{encoding}"
    subprocess.run(("localedef", "-i", language, "-f", encoding, tmp_path / name), check=False, capture_output=True)
    if not (tmp_path / name).exists():
        pytest.skip(f"needs the character map {encoding}")
    return {"LOCPATH": str(tmp_path), "LC_ALL": name}


def output(code: int, *arguments: Argument, locale: dict[str, str]) -> bytes:
    """Run the command, which has to end with `code`; return what it printed as it stands."""
    with start(*arguments, LOCPATH=locale["LOCPATH"], LC_ALL=locale["LC_ALL"]) as process:
        out, err = process.communicate()
    assert (process.returncode, b"Traceback" in err) == (code, False), err
    return out


def test_a_case_is_the_same_whatever_the_locale(
    image: Path, undisturbed: Path, tmp_path: Path, locale: dict[str, str]
) -> None:
    case = tmp_path / "报告"
    output(10, "run", image, "--out", case, locale=locale)
    assert seen(case) == seen(undisturbed)
    output(0, "verify", case, locale=locale)
    assert triage("verify", case).code == 0
    for folder, sums in ((case, "SHA256SUMS"), (case / "rescue", "manifest-sha256.txt")):
        subprocess.run(("sha256sum", "--check", "--strict", sums), cwd=folder, check=True, capture_output=True)


def test_what_is_shown_is_in_the_encoding_of_the_locale(image: Path, locale: dict[str, str]) -> None:
    encoding = locale["LC_ALL"].rpartition(".")[2]
    out = output(0, "ls", f"{image}:v1/Users", locale=locale)
    assert out == triage("ls", f"{image}:v1/Users").out.encode(encoding, "backslashreplace")
    assert (b"\\u" in out) is (encoding == "ISO-8859-1")

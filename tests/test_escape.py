"""Hostile names, made safe for each place where text goes."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.model.escape import escape_csv, escape_line, escape_log, escape_terminal, safe_name, unescape_line

ANY_TEXT = st.text(st.characters())  # surrogates too
NASTY_TEXT = st.text(st.sampled_from("ab.~ %/\\:*?=+-@\x00\x1b\n\r\x85\u2028\u202e\ud800\udfff\U000e0041报é0aA25CON"))
HOSTILE = "a\x1b]0;x\x07\n\x9b\u202egpj.exe\ud83d/%\\"


@pytest.mark.parametrize("escape", [escape_terminal, escape_log, escape_line, escape_csv])
@given(text=ANY_TEXT | NASTY_TEXT)
def test_every_form_is_one_encodable_line(escape, text: str) -> None:  # type: ignore[no-untyped-def]
    escaped = escape(text)
    escaped.encode("utf-8")
    assert len(escaped.splitlines()) <= 1
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in escaped)


@given(text=ANY_TEXT | NASTY_TEXT)
def test_percent_forms_give_the_text_back(text: str) -> None:
    assert unescape_line(escape_line(text)) == text
    assert unescape_line(escape_csv(text)) == text


def test_forms_of_one_hostile_name() -> None:
    assert escape_terminal(HOSTILE) == "a\\x1b]0;x\\x07\\x0a\\x9b\\u202egpj.exe\\ud83d/%\\"
    assert escape_log(HOSTILE).endswith("\\ud83d/%\\\\")
    assert escape_line(HOSTILE) == "a%1B]0;x%07%0A%C2%9B\u202egpj.exe%ED%A0%BD/%25\\"
    assert escape_terminal("报告 é.docx") == escape_line("报告 é.docx") == "报告 é.docx"
    assert escape_terminal("\U000e0041") == "\\U000e0041"


@given(text=ANY_TEXT)
def test_log_form_tells_a_backslash_from_an_escape(text: str) -> None:
    if text != "\\x1b":
        assert escape_log(text) != escape_log("\\x1b")


@given(text=ANY_TEXT | NASTY_TEXT)
def test_csv_value_is_no_formula_and_survives_the_csv_module(text: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([escape_csv(text), "next"])
    assert not escape_csv(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert [unescape_line(value) for value in next(csv.reader([out.getvalue()]))] == [text, "next"]


@given(name=ANY_TEXT | NASTY_TEXT)
def test_safe_name_is_safe(name: str) -> None:
    safe = safe_name(name)
    assert safe == safe_name(name)
    assert 0 < len(safe.encode("utf-8")) <= 255
    assert safe not in (".", "..")
    assert not safe.endswith((".", " "))
    assert not set(safe) & set('<>:"/\\|?*')
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in safe)


@given(names=st.lists(NASTY_TEXT, unique=True, max_size=8))
def test_no_two_names_become_one(names: list[str]) -> None:
    assert len({safe_name(name) for name in names}) == len(names)


@given(name=NASTY_TEXT)
def test_a_name_that_looks_mapped_cannot_take_the_place_of_one(name: str) -> None:
    mapped = safe_name(name)
    if mapped != name:
        assert safe_name(mapped) != mapped
        assert safe_name(mapped.upper()) != mapped.upper()


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "con.txt",
        "Com1",
        "LPT9.tar.gz",
        "CONIN$",
        "AUX .txt",
        "",
        ".",
        "..",
        "...",
        " ",
        "a.",
        "a ",
        "a:b",
    ],
)
def test_what_windows_refuses_is_mapped(name: str) -> None:
    safe = safe_name(name)
    assert safe != name
    assert safe.split(".")[0].rstrip(" ").upper() not in ("CON", "COM1", "LPT9", "CONIN$", "AUX")


@pytest.mark.parametrize("name", ["报告 1.docx", "CONTROL.TXT", ".profile", "a~b.txt", "100 %.xls", "COM10", "ملف.pdf"])
def test_ordinary_names_stay(name: str) -> None:
    assert safe_name(name) == name


def test_a_long_name_keeps_its_extension() -> None:
    safe = safe_name("报" * 250 + ".docx")
    assert safe.endswith(".docx")
    assert len(safe.encode("utf-8")) in range(250, 256)
    assert safe_name("报" * 85) == "报" * 85
    assert safe_name("报" * 86) != "报" * 86

"""The Chinese catalogue has every message of the code, and what is installed is what is translated."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import triage
from tests.command import REPOSITORY
from tests.sample_report import sample_report
from triage.model.text import _, language, ngettext, set_language
from triage.report.text import summary

pytest.importorskip("babel", reason="needs the Python package babel")

from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

PACKAGE = Path(triage.__file__).parent
MESSAGES = PACKAGE / "locale" / "zh_CN" / "LC_MESSAGES"
FIELD = re.compile(r"\{\w*\}|%(?:\(\w+\))?[sd]")

Texts = dict[tuple[str, ...], tuple[str, ...]]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    set_language("en")


def texts(catalog: Catalog) -> Texts:
    """Return the translation by message, both as tuples of their plural forms."""

    def forms(value: object) -> tuple[str, ...]:
        return tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)

    return {forms(message.id): forms(message.string) for message in catalog if message.id}


def translated() -> Catalog:
    with (MESSAGES / "triage.po").open("rb") as file:
        return read_po(file, locale="zh_CN")


def test_every_message_of_the_code_is_in_the_catalogue(tmp_path: Path) -> None:
    mapping = PACKAGE / "locale" / "babel.toml"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", str(mapping)]
    subprocess.run([*command, "-o", tmp_path / "triage.pot", PACKAGE, REPOSITORY / "live-usb"], check=True)
    with (tmp_path / "triage.pot").open("rb") as file:
        in_code = texts(read_po(file)).keys()
    assert len(in_code) > 150
    in_catalogue = texts(translated()).keys()
    assert sorted(in_code - in_catalogue) == []
    assert sorted(in_catalogue - in_code) == []


def test_every_message_is_translated_with_its_fields() -> None:
    catalog = translated()
    assert [message.id for message in catalog if message.fuzzy and message.id] == []
    for message, translation in texts(catalog).items():
        assert all(translation), message
        for form in translation:
            assert sorted(FIELD.findall(form)) == sorted(FIELD.findall(message[-1])), message


def test_what_is_installed_is_what_is_translated() -> None:
    with (MESSAGES / "triage.mo").open("rb") as file:
        assert texts(read_mo(file)) == texts(translated())


def test_the_chosen_language_speaks() -> None:
    set_language("en")
    assert (language(), _("Findings"), ngettext("and {count} more", "and {count} more", 2)) == (
        "en", "Findings", "and {count} more",
    )  # fmt: skip
    set_language("zh_CN")
    assert (language(), _("Findings"), ngettext("and {count} more", "and {count} more", 2)) == (
        "zh-CN", "发现", "另有 {count} 项",
    )  # fmt: skip
    assert _("") == ""
    assert summary(sample_report(), "SHA256:x", Path("/case")).startswith("发现感染指标：WANNACRY\n")

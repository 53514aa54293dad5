"""What the exposure found is said in the reader's language; the report in JSON stays English."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import here
from tests.lab.exposed import ExposedWindows, update
from tests.lab.hives import HIVE_TOOL
from tests.needs import needs_tool
from tests.test_exposure import POLICY, RULES, Changes, exposure, old_driver
from triage.model.exposure import Check, Exposure, ExposureRow, ExposureVerdict, Phrase, phrased
from triage.model.text import set_language
from triage.report.document import json_document
from triage.report.exposure import exposure_table
from triage.report.words import found

HOSTILE = "{evil} {0} %s \x1b[31m<b>"

pytestmark = needs_tool(HIVE_TOOL)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    set_language("en")


@pytest.fixture
def judged(tmp_path: Path) -> Exposure:
    """Return the exposure of a Windows with many kinds of values."""
    seven = ExposedWindows()
    changes: Changes = {
        RULES: {"FPS-445": "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|LPort=445|"},
        rf"{POLICY}\PublicProfile": {"EnableFirewall": 0},
    }
    system = seven.system(tmp_path / "SYSTEM", changes)
    return exposure(system, seven.software(tmp_path / "SOFTWARE", update("KB4012212")), old_driver())


def test_values_are_said_in_chinese(judged: Exposure) -> None:
    set_language("zh_CN")
    said = {row.check: found(row) for row in judged.rows}
    assert said[Check.PORT_445] == "域: 开放：规则 FPS-445; 专用: 关闭：没有规则开放它; 公用: 开放：防火墙已关闭"
    assert said[Check.FIREWALL] == "域: 开; 专用: 开; 公用: 关"
    assert said[Check.SMB1_SERVER] == r"LanmanServer\Parameters\SMB1 未设置"
    assert said[Check.DRIVER] == "6.1.7601.17514（自 6.1.7601.23689 起已修复）"
    assert said[Check.UPDATES] == "KB4012212 已安装 2017-05-12"
    assert any("规则 FPS-445" in line for line in exposure_table(judged))


def test_json_stays_english(judged: Exposure) -> None:
    english = json_document(judged)
    set_language("zh_CN")
    assert json_document(judged) == english
    assert "open by FPS-445" in english
    assert all(row.value == phrased(row.phrases) for row in judged.rows)


def test_names_on_the_evidence_are_no_templates() -> None:
    row = ExposureRow(
        check=Check.PORT_445,
        verdict=ExposureVerdict.EXPOSED,
        value="",
        source="",
        phrases=(Phrase(text="open by {name}", of={"name": HOSTILE}, label="Domain"),),
    )
    assert found(row) == f"Domain: open by {HOSTILE}"
    assert phrased([Phrase(text=HOSTILE, of={"a": "b"})]) == HOSTILE


def test_counts_of_a_hive_are_said_in_chinese(tmp_path: Path) -> None:
    ExposedWindows().software(tmp_path / "SOFTWARE")
    assert " 个键，" in here("--lang", "zh_CN", "hive", tmp_path / "SOFTWARE").out

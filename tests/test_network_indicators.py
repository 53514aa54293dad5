"""Names and addresses that come with the tool: the published list, what weighs how much, what a bad list says."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from tests.needs import DATA_VARIABLE
from triage.indicators.load import NETWORK_CSV, builtin_network
from triage.indicators.network import MEANINGS, NetworkKind, load_network
from triage.model.errors import IndicatorError
from triage.model.finding import Severity

PUBLISHED = Path(os.environ.get(DATA_VARIABLE, "none")).parent / "facts" / "wannacry_network.csv"
KILL_SWITCH = "www.iuqerfsodp9ifjaposdfjhgosurijfaewrwergwea.com"


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"needs {DATA_VARIABLE} with ../facts/wannacry_network.csv")
def test_shipped_list_equals_the_published_one() -> None:
    assert NETWORK_CSV.read_bytes() == PUBLISHED.read_bytes()
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["type"] in set(NetworkKind)]
    loaded = builtin_network()
    assert loaded.info.count == len(rows) == len(loaded.names) + len(loaded.addresses)
    for row in rows:
        value = row["value"] if row["type"] in ("domain_killswitch", "onion_c2") else row["value"].partition(":")[0]
        one = (loaded.names | loaded.addresses)[value]
        assert (one.kind, one.variant) == (row["type"], row["variant"])
        assert row["source"].startswith(f"conf={one.confidence.value}")
        assert one.source in row["source"]


def test_an_address_weighs_less_than_a_name() -> None:
    network = builtin_network()
    assert network.names[KILL_SWITCH].severity is Severity.HIGH
    assert network.addresses["54.153.0.145"].severity is Severity.MEDIUM
    assert {one.severity for one in network.addresses.values() if one.kind is NetworkKind.TOR_RELAY} == {Severity.LOW}
    assert network.names["iuqerfsodp9ifjaposdfjhgosurijfaewrwergwea.test"].severity is Severity.LOW
    assert set(MEANINGS) == set(NetworkKind)
    assert "128.31.0.39" in network.addresses


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (KILL_SWITCH.upper() + ".", KILL_SWITCH),
        (f"a.{KILL_SWITCH}", KILL_SWITCH),
        ("x.gx7ekbenv2riucmf.onion", "gx7ekbenv2riucmf.onion"),
        ("com", None),
        ("iuqerfsodp9ifjaposdfjhgosurijfaewrwergwea.com.evil.example", None),
        ("xiuqerfsodp9ifjaposdfjhgosurijfaewrwergwea.com", None),
        ("", None),
    ],
)
def test_a_name_and_all_below_it(name: str, value: str | None) -> None:
    found = builtin_network().of_name(name)
    assert (None if found is None else found.value) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "its columns are not"),
        ("type,value,variant,source\nonion_c2,x.onion\n", "line 2: 2 fields"),
        ("type,value,variant,source\nonion_c2,x.onion,,sure\n", "line 2: no confidence"),
        ("type,value,variant,source\nip_tor_relay,1.2.3,,conf=low\n", "line 2: '1.2.3' does not appear"),
    ],
)
def test_a_bad_list_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "network.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(IndicatorError, match=message):
        load_network(path, family="f", release="r")
    with pytest.raises(IndicatorError, match="cannot be read"):
        load_network(tmp_path / "missing.csv", family="f", release="r")

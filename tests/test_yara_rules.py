"""The rules that come with the tool are code: each has metadata, a conventional name and a pair of samples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yara

from tests.rules.automaton import atoms
from tests.rules.samples import (
    DROPPED,
    LAUNCHER,
    MATCHING,
    MUTEX,
    NOT_MATCHING,
    PLACEHOLDERS,
    RULES,
    SERVERS,
    batch,
    c_string,
    code,
    configuration,
    encrypted_file,
    note,
    program,
    quoting_report,
    script,
    wide,
)
from triage.examiners.yara_rules import OWN_RULES, compile_rules
from triage.model.finding import Severity
from triage.model.indicator import Confidence

PROJECT = RULES.parent
FILES = sorted(RULES.glob("*.yar"))
COMPILED = compile_rules()
FIRST_BYTES = set(b"%PWvw")
MASKED = re.compile(r"(\$\w+) = \{ ([0-9A-F? ]+) \}  // (.+)")


def matches(data: bytes) -> set[str]:
    return {match.rule for match in COMPILED.rules.match(data=data)}


def listed_rules() -> list[yara.Rule]:
    return [rule for path in FILES for rule in yara.compile(source=path.read_text(encoding="utf-8"))]


def test_rules_are_found_through_the_package() -> None:
    assert [path.name for path in sorted(OWN_RULES.iterdir())] == [path.name for path in FILES]
    assert sum(one.count for one in COMPILED.sets) == len(MATCHING) == len(listed_rules())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rule_file_compiles_without_a_warning(path: Path) -> None:
    yara.compile(source=path.read_text(encoding="utf-8"), includes=False, error_on_warning=True)


@pytest.mark.parametrize("rule", listed_rules(), ids=lambda rule: rule.identifier)
def test_rule_has_name_metadata_and_samples(rule: yara.Rule) -> None:
    assert re.fullmatch(r"WannaCry_[A-Z][A-Za-z0-9]+_[A-Z][A-Za-z]+", rule.identifier)
    required = {"description", "reference", "date", "severity", "confidence", "family"}
    assert required <= set(rule.meta) <= required | {"decided_by"}
    assert rule.meta.get("decided_by", "content") == "content"
    assert len(str(rule.meta["description"])) > 20
    assert str(rule.meta["reference"]).startswith("https://")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(rule.meta["date"]))
    assert rule.meta["severity"] in set(Severity)
    assert rule.meta["confidence"] in set(Confidence)
    assert rule.meta["family"] == "wannacry"
    assert rule.identifier in MATCHING
    assert rule.identifier in NOT_MATCHING


def test_search_is_cheap() -> None:
    """Each byte that begins an atom costs a twentieth of the speed on any data, a short atom is met too often."""
    searched = atoms(COMPILED.rules)
    assert {atom[0] for atom in searched} == FIRST_BYTES
    assert {len(atom) for atom in searched} == {4}


def test_reader_of_atoms_finds_what_is_searched() -> None:
    rules = yara.compile(
        source='rule A { strings: $a = "Wxyz" $b = { 00 51 7A ?? 01 } $c = "Wx" condition: any of them }'
    )
    assert atoms(rules) == {b"Wxyz", b"\x00Qz", b"Wx"}


def test_masked_strings_are_those_of_their_comments() -> None:
    found = [match for path in FILES for match in MASKED.finditer(path.read_text(encoding="utf-8"))]
    named = [match for match in found if not match[1].startswith("$code_")]
    assert len(named) > 15
    for match in named:
        pattern = b"".join(b"." if byte == "??" else re.escape(bytes.fromhex(byte)) for byte in match[2].split())
        for text in match[3].split(", "):
            stored = c_string(text) + wide(text)
            assert re.search(pattern, stored, re.DOTALL), text


@pytest.mark.parametrize("name", MATCHING)
def test_rule_finds_its_sample(name: str) -> None:
    assert name in matches(MATCHING[name])


@pytest.mark.parametrize("name", MATCHING)
def test_rule_finds_its_sample_with_a_damaged_tail(name: str) -> None:
    sample = MATCHING[name]
    kept = len(sample) * 7 // 10
    assert name in matches(sample[:kept] + b"\xa5" * (len(sample) - kept))


@pytest.mark.parametrize("name", NOT_MATCHING)
def test_rule_leaves_the_near_miss_alone(name: str) -> None:
    assert name not in matches(NOT_MATCHING[name])


def test_report_that_quotes_everything_is_not_taken_for_malware() -> None:
    assert matches(quoting_report()) == set()


def test_project_itself_matches_nothing() -> None:
    files = [path for folder in ("yara", "triage", "tests") for path in (PROJECT / folder).rglob("*") if path.is_file()]
    sources = [path for path in files if path.suffix in {".py", ".yar", ".csv", ".toml", ".txt", ".md"}]
    assert len(sources) > 20
    assert {path.name: matches(path.read_bytes()) for path in sources if matches(path.read_bytes())} == {}


def test_strings_are_found_without_the_head_of_the_program() -> None:
    sample = MATCHING["WannaCry_Installer_Strings"]
    assert "WannaCry_Installer_Strings" in matches(b"\0" * 4096 + sample[0x40:])


def test_prepared_file_and_other_key_lengths() -> None:
    assert "WannaCry_EncryptedFile_Header" in matches(encrypted_file(type_number=3))
    assert matches(encrypted_file(key_length=0x80)) == set()
    assert matches(b" " + encrypted_file()) == set()


def test_worm_with_other_names_is_known_by_its_requests() -> None:
    assert "WannaCry_Worm_Strings" in matches(program(LAUNCHER, *PLACEHOLDERS))
    assert matches(program(*PLACEHOLDERS)) == set()


def test_code_sequence_beside_a_string() -> None:
    assert matches(code(2) + MUTEX) == matches(code(1) + b"%s -m " + b"security") == {"WannaCry_Code_Sequences"}
    assert matches(program(MUTEX)) == set()


def test_name_of_the_worm_alone_is_left_alone() -> None:
    assert matches(program(DROPPED)) == set()


def test_configuration_by_each_of_two_servers() -> None:
    for server in (SERVERS[0], SERVERS[3]):
        assert "WannaCry_Configuration_Servers" in matches(configuration(b"", server))
    assert matches(configuration(b"", SERVERS[1])) == set()


def test_note_template_without_the_name_of_the_window() -> None:
    assert "WannaCry_Note_Text" in matches(note("A:  Don't " + "worry about decryption."))


def test_batch_file_with_unix_line_ends() -> None:
    assert "WannaCry_Batch_Text" in matches(batch("@Wana" + "Decryptor@", end="\n"))


def test_no_rule_depends_on_the_length_of_what_it_is_given() -> None:
    for path in FILES:
        assert "filesize" not in re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_script_that_only_mentions_a_shortcut_is_left_alone() -> None:
    assert matches(b"REM " + script("@Wana" + "Decryptor@")) == set()

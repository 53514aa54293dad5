"""Traces of the network in texts: the firewall's log, the DNS cache's print, a DNS server's log, the file hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.hives import HIVE_TOOL
from tests.needs import needs_tool
from tests.test_registry_survey import CONFIG, case_with, hive_of
from triage.artefacts.dns_text import DnsText
from triage.artefacts.firewall_log import FirewallLog
from triage.artefacts.text_lines import LONGEST_LINE, LineReader
from triage.artefacts.time_zone import TimeZone
from triage.examiners.clock import Clock
from triage.examiners.firewall import MANY_TARGETS, SOME_TARGETS, SPREADING
from triage.examiners.text_logs import TEXT_LOGS
from triage.indicators.load import builtin_network
from triage.model.entry import StreamForm, Subject
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import GapKind
from triage.model.told import Told

SINKHOLE, KILL_SWITCH = "54.153.0.145", "www.iuqerfsodp9ifjaposdfjhgosurijfaewrwergwea.com"
START = datetime(2017, 5, 12, 15, 30, tzinfo=UTC)
HEAD = (
    "#Version: 1.5\n#Software: Microsoft Windows Firewall\n#Time Format: Local\n"
    "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype "
    "icmpcode info path\n\n"
)
CHINA = Clock(TimeZone(bias_minutes=-480, name="China Standard Time", has_rule=True))
FIREWALL = "Windows/System32/LogFiles/Firewall/pfirewall.log"
HOSTS = "Windows/System32/drivers/etc/hosts"
SERVER = "Windows/System32/dns/dns.log"
PRINT = "Users/bob/Desktop/displaydns.txt"


def subject(path: str) -> Subject:
    return Subject(
        volume="v1",
        mft_entry=40,
        sequence=1,
        attribute_id=0,
        path=path,
        stream="",
        size_bytes=1,
        initialized_bytes=1,
        form=StreamForm.PLAIN,
    )


def told(path: str, lines: Iterable[str], clock: Clock = CHINA) -> Told:
    [log] = [one for one in TEXT_LOGS if one.path.fullmatch(path.lower())]
    examiner = log.examiner(subject(path), clock, builtin_network())
    for line in lines:
        examiner.line(line)
    return examiner.end()


def row(seconds: float, target: str, *, port: int = 445, action: str = "ALLOW", path: str = "SEND") -> str:
    at = START + timedelta(seconds=seconds)
    return f"{at:%Y-%m-%d %H:%M:%S} {action} TCP 192.168.0.9 {target} 49152 {port} 0 - 0 0 0 - - - {path}"


def scan(targets: int, *, per_second: int = 10) -> list[str]:
    return [row(number / per_second, f"10.0.{number // 250}.{number % 250 + 1}") for number in range(targets)]


def one(findings: Sequence[Finding]) -> Finding:
    [finding] = findings
    assert (finding.kind, finding.family) == (FindingKind.NETWORK, "wannacry")
    return finding


# --- the firewall's log ---


@pytest.mark.parametrize(
    ("targets", "per_second", "severity"),
    [
        (MANY_TARGETS, 10, Severity.MEDIUM),
        (MANY_TARGETS - 1, 10, Severity.LOW),
        (SOME_TARGETS, 10, Severity.LOW),
        (SOME_TARGETS - 1, 10, None),
        (1000, 0.2, None),
    ],
)
def test_many_targets_at_once_are_spreading(targets: int, per_second: int, severity: Severity | None) -> None:
    findings = told(FIREWALL, [*HEAD.splitlines(), *scan(targets, per_second=per_second)]).findings
    assert [finding.severity for finding in findings] == ([] if severity is None else [severity])


def test_spreading_says_when_how_fast_and_by_which_clock() -> None:
    finding = one(told(FIREWALL, [*HEAD.splitlines(), *scan(300)]).findings)
    assert finding.indicator == SPREADING
    assert finding.times == {"first": "2017-05-12T07:30:00.0000000Z", "last": "2017-05-12T07:30:29.0000000Z"}
    assert (finding.facts["most_targets_in_a_minute"], finding.facts["targets"]) == ("300", "300")
    assert finding.facts["busiest_minute_in_log"] == "2017-05-12 15:30:00"
    assert finding.facts["clock"].startswith("local time; -480 minutes to UTC by China Standard Time")


def test_without_a_zone_no_time_is_taken_for_utc() -> None:
    finding = one(told(FIREWALL, [*HEAD.splitlines(), *scan(100)], Clock()).findings)
    assert finding.times == {}
    assert finding.facts["first_in_log"] == "2017-05-12 15:30:00"
    assert finding.facts["clock"] == "local time, its zone is not known"


def test_a_log_that_says_utc_is_believed() -> None:
    finding = one(told(FIREWALL, [*HEAD.replace("Local", "UTC").splitlines(), *scan(100)]).findings)
    assert finding.times["first"] == "2017-05-12T15:30:00.0000000Z"


@pytest.mark.parametrize(
    "lines",
    [
        [row(0, "192.168.0.2")] * 500,
        [row(n / 10, f"10.0.0.{n % 250}", port=443) for n in range(250)],
        [row(n / 10, f"10.0.0.{n % 250}", path="RECEIVE") for n in range(250)],
        [row(n / 10, f"10.0.0.{n % 250}", action="OPEN-INBOUND", path="-") for n in range(250)],
        [row(0, "54.153.0.14"), row(0, SINKHOLE, path="RECEIVE")],
    ],
)
def test_ordinary_traffic_is_no_finding(lines: list[str]) -> None:
    assert told(FIREWALL, [*HEAD.splitlines(), *lines]) == Told()


def test_a_clock_set_back_begins_a_new_minute() -> None:
    lines = [*scan(40), *(row(n / 10 - 3600, f"10.9.0.{n + 1}") for n in range(40))]
    assert one(told(FIREWALL, lines).findings).facts["most_targets_in_a_minute"] == "40"


def test_contact_with_an_address_of_a_kill_switch() -> None:
    lines = [row(0, SINKHOLE, port=80), row(60, SINKHOLE, port=80, action="DROP"), row(61, "8.8.8.8", port=53)]
    finding = one(told(FIREWALL, [*HEAD.splitlines(), *lines]).findings)
    assert (finding.indicator, finding.severity, finding.set) == (SINKHOLE, Severity.MEDIUM, "wannacry_network")
    assert (finding.facts["lines"], finding.facts["dropped"], finding.facts["ports"]) == ("2", "1", "80")
    assert "the worm asked, and was perhaps told to stop" in finding.facts["meaning"]
    assert finding.excerpt == lines[0]


def test_a_tor_relay_weighs_little() -> None:
    assert one(told(FIREWALL, [row(0, "86.59.21.38", port=443)]).findings).severity is Severity.LOW


def test_the_log_of_xp_marks_what_it_opened() -> None:
    lines = [f"2017-05-12 15:30:0{n} OPEN TCP 192.168.0.9 {SINKHOLE} 1058 80 - - - - - - - - -" for n in range(3)]
    [finding] = told("WINDOWS/pfirewall.log", [*HEAD.splitlines(), *lines]).findings
    assert (finding.facts["lines"], finding.facts["dropped"]) == ("3", "0")


def test_fields_in_another_order_are_found_by_the_header() -> None:
    head = "#Fields: date time path action protocol dst-port dst-ip"
    assert (
        one(told(FIREWALL, [head, f"2017-05-12 15:30:00 SEND ALLOW TCP 80 {SINKHOLE}"]).findings).facts["ports"] == "80"
    )


def test_lines_that_are_no_records_are_counted() -> None:
    lines = ["2017-05-12 15:30", "x" * 90, row(0, SINKHOLE, port=80).replace("2017-05-12", "2017-13-12")]
    result = told(FIREWALL, [*HEAD.splitlines(), *lines])
    assert result.findings == ()
    [gap] = result.gaps
    assert (gap.kind, gap.detail) == (GapKind.ARTEFACT, "lines that are no records: 3, the first is line 6")


LOST = "2017-05-12 15:30:40 INFO-EVENTS-LOST - - - - - - - - - - - - {} -"


@pytest.mark.parametrize(
    ("counts", "lost"), [(["27000"], 27000), (["27000", "3"], 27003), (["-"], 0), (["9" * 5000], 0), (["٣"], 0)]
)
def test_events_that_the_firewall_lost_are_a_gap(counts: list[str], lost: int) -> None:
    result = told(FIREWALL, [*HEAD.splitlines(), *scan(100), *(LOST.format(count) for count in counts)])
    assert [finding.indicator for finding in result.findings] == [SPREADING]
    [gap] = result.gaps
    detail = f"events that the firewall did not log: {lost} (lines that say so: {len(counts)})"
    assert (gap.kind, gap.detail, gap.where.path) == (GapKind.ARTEFACT, detail, FIREWALL)


# --- names ---


def cache_print(name: str, *addresses: str) -> list[str]:
    """Return what `ipconfig /displaydns` prints in German and in English."""
    lines = ["", "Windows-IP-Konfiguration", "", f"    {name}", "    " + "-" * 40]
    for address in addresses:
        lines += [f"    Record Name . . . . . : {name}", "    Record Type . . . . . : 1"]
        lines += ["    Data Length . . . . . : 4", f"    A (Host) Record . . . : {address}", ""]
    return lines or ["    Name does not exist."]


def test_a_print_of_the_dns_cache() -> None:
    lines = [*cache_print("example.com", "1.2.3.4"), *cache_print(KILL_SWITCH, SINKHOLE, "104.16.173.80")]
    lines += cache_print("example.org", "5.6.7.8")
    finding = one(told(PRINT, lines).findings)
    assert (finding.indicator, finding.severity) == (KILL_SWITCH, Severity.MEDIUM)
    assert finding.facts["answers"] == f"{SINKHOLE}, 104.16.173.80"
    assert "if a server answers, it stops" in finding.facts["meaning"]


def test_an_analysts_note_that_quotes_the_name_is_no_finding() -> None:
    lines = [f"The worm asks for {KILL_SWITCH}.", "-" * 40, KILL_SWITCH, f"see https://{KILL_SWITCH}/"]
    assert told("Users/bob/Documents/dns.txt", lines) == Told()


PACKET = "12/05/2017 15:30:11 0E44 PACKET  00000000028CB470 UDP {0} {1}    d3a1 {2} Q [0001   D   NOERROR] A      {3}"
ENCODED = "(3)www(41)iuqerfsodp9ifjaposdfjhgosurijfaewrwergwea(3)com(0)"


@pytest.mark.parametrize(("asker", "severity"), [("10.0.0.5", Severity.LOW), ("127.0.0.1", Severity.MEDIUM)])
def test_a_dns_server_tells_who_asked(asker: str, severity: Severity) -> None:
    lines = [
        PACKET.format("Rcv", asker, " ", ENCODED),
        PACKET.format("Snd", "8.8.8.8", " ", ENCODED),
        PACKET.format("Rcv", "8.8.8.8", "R", ENCODED),
        PACKET.format("Rcv", "10.0.0.6", " ", "(3)www(7)example(3)com(0)"),
    ]
    finding = one(told(SERVER, lines).findings)
    assert (finding.severity, finding.facts["asked_by"], finding.facts["mentions"]) == (severity, asker, "1")


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("127.0.0.1", "harmful"),
        ("0.0.0.0", "harmful"),
        ("::1", "harmful"),
        ("192.168.0.10", "a sinkhole or an immunisation"),
        (SINKHOLE, "a sinkhole or an immunisation"),
    ],
)
def test_an_entry_in_hosts_is_somebodys_measure(address: str, meaning: str) -> None:
    lines = ["# localhost", "127.0.0.1 localhost", f"{address}\t{KILL_SWITCH} other.example # against the worm"]
    finding = one(told(HOSTS, lines).findings)
    assert (finding.severity, finding.facts["address"], finding.facts["line"]) == (Severity.LOW, address, "3")
    assert finding.facts["meaning"].startswith(meaning)


def test_a_comment_in_hosts_is_no_entry() -> None:
    assert told(HOSTS, [f"# 127.0.0.1 {KILL_SWITCH}", "", "127.0.0.1"]) == Told()


# --- lines ---


def read_lines(data: bytes, sizes: Iterable[int]) -> list[str]:
    reader, at = LineReader(), 0
    lines: list[str] = []
    for size in sizes:
        if at < len(data):
            lines += reader.feed(data[at : at + size])
            at += size
    lines += reader.feed(data[at:]) if at < len(data) else []
    return [*lines, *reader.end()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk", "cp1252"])
@given(sizes=st.lists(st.integers(70, 99), max_size=20))
def test_lines_in_every_encoding_and_in_pieces(encoding: str, sizes: list[int]) -> None:
    text = "a line of only ASCII, long enough to tell how the text is written" + "\r\n"
    text += "李雷 é\r\n".encode(encoding, "ignore").decode(encoding).lstrip("\ufeff") + "the third\nthe last"
    lines = read_lines(text.encode(encoding), sizes)
    assert (lines[0], lines[2:]) == (text.split("\r\n")[0], ["the third", "the last"])
    if encoding not in ("gbk", "cp1252"):
        assert lines[1] == text.split("\r\n")[1]


@given(data=st.binary(max_size=300), sizes=st.lists(st.integers(1, 40), max_size=20))
def test_no_bytes_stop_the_reading(data: bytes, sizes: list[int]) -> None:
    firewall, dns = FirewallLog(), DnsText()
    for line in read_lines(data, sizes):
        firewall.outbound(line)
        dns.asked(line)
        dns.answer(line)


def test_a_line_without_end_is_cut_and_counted() -> None:
    reader = LineReader()
    lines = [*reader.feed(b"x" * (3 * LONGEST_LINE)), *reader.feed(b"y\nz"), *reader.end()]
    assert [len(line) for line in lines] == [LONGEST_LINE, LONGEST_LINE, LONGEST_LINE + 1, 1]
    assert reader.cut == 2


def test_of_200_mutated_logs_none_fails_and_none_loses_the_scan() -> None:
    sound = (HEAD + "\n".join(scan(200))).encode()
    random = Random(445)
    for _ in range(200):
        data = bytearray(sound)
        for _number in range(5):
            data[random.randrange(len(HEAD), len(data))] = random.randrange(256)
        result = told(FIREWALL, read_lines(bytes(data), [4096]))
        assert [finding.indicator for finding in result.findings] == [SPREADING]


# --- on a volume ---


@needs_tool("mkntfs", "ntfs-3g", HIVE_TOOL)
def test_texts_are_found_on_a_volume_and_dated_by_its_zone(tmp_path: Path) -> None:
    lines = HEAD + "\n".join([row(0, SINKHOLE, port=80), *scan(100)])
    files = {
        f"{CONFIG}/SYSTEM": hive_of(tmp_path),
        FIREWALL: b"\xff\xfe" + lines.encode("utf-16-le"),
        FIREWALL + ".old": (lines + "\nno record").encode(),
        HOSTS: f"0.0.0.0 {KILL_SWITCH}\n".encode(),
        SERVER: PACKET.format("Rcv", "10.0.0.5", " ", ENCODED).encode(),
        PRINT: "\n".join(cache_print(KILL_SWITCH)).encode(),
        f"Users/bob/Documents/{Path(FIREWALL).name}": lines.encode(),
    }
    case = case_with(tmp_path, files)
    found = {(finding.where.path, finding.indicator) for finding in case.findings(FindingKind.NETWORK)}
    assert found == {
        (FIREWALL, SPREADING),
        (FIREWALL, SINKHOLE),
        (FIREWALL + ".old", SPREADING),
        (FIREWALL + ".old", SINKHOLE),
        (HOSTS, KILL_SWITCH),
        (SERVER, KILL_SWITCH),
        (PRINT, KILL_SWITCH),
    }
    times = [finding.times["first"] for finding in case.findings(FindingKind.NETWORK) if finding.where.path == FIREWALL]
    assert times == ["2017-05-12T07:30:00.0000000Z"] * 2
    [gap] = case.gaps(GapKind.ARTEFACT)
    assert (gap.where.path, gap.material) == (FIREWALL + ".old", False)


@needs_tool("mkntfs", "ntfs-3g", HIVE_TOOL)
def test_a_log_is_dated_by_the_zone_of_its_own_windows(tmp_path: Path) -> None:
    """Of a Windows without a hive no zone is known: its log gets no UTC time, not another Windows' one."""
    west = hive_of(tmp_path).replace((-480 & 0xFFFFFFFF).to_bytes(4, "little"), (480).to_bytes(4, "little"))
    log = (HEAD + row(0, SINKHOLE, port=80)).encode()
    folders = ("Windows", "WIN2", "WIN3")
    files = {f"{folder}/System32/LogFiles/Firewall/pfirewall.log": log for folder in folders}
    hives = {f"{CONFIG}/SYSTEM": hive_of(tmp_path), "WIN2/System32/config/SYSTEM": west}
    case = case_with(tmp_path, {**files, **hives})
    found = {(finding.where.path or "").split("/")[0]: finding.times for finding in case.findings(FindingKind.NETWORK)}
    assert {folder: times.get("first") for folder, times in found.items()} == {
        "Windows": "2017-05-12T07:30:00.0000000Z",
        "WIN2": "2017-05-12T23:30:00.0000000Z",
        "WIN3": None,
    }

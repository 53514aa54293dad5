"""Hives of every Windows, open or closed in each way, against what the exposure says of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.drivers import driver
from tests.lab.exposed import DENY_445, INTERFACE, SERVICING, ExposedWindows, Values, package, update
from tests.lab.hives import HIVE_TOOL
from tests.needs import needs_data, needs_tool
from tests.test_hive_real import unpacked
from triage.artefacts.hive import open_hive
from triage.artefacts.locate import HiveKind
from triage.examiners.exposure import examine_driver
from triage.examiners.registry import examine_hive
from triage.indicators.ms17_010 import load_fixes
from triage.model.errors import ArtefactError
from triage.model.exposure import Check, ControlSetRole, Exposure, ExposureRow, ExposureVerdict
from triage.model.exposure_facts import Driver, DriverState, ExposureFacts
from triage.model.gap import Where
from triage.verdict.exposure import judge_exposure

EXPOSED, MITIGATED, PROTECTED = ExposureVerdict.EXPOSED, ExposureVerdict.MITIGATED, ExposureVerdict.PROTECTED
NOTED, NOT_KNOWN = ExposureVerdict.NOTED, ExposureVerdict.NOT_KNOWN
POLICY = r"Services\SharedAccess\Parameters\FirewallPolicy"
RULES = rf"{POLICY}\FirewallRules"
GROUP_POLICY = r"Policies\Microsoft\WindowsFirewall"
WINDOWS_7, WINDOWS_XP = ExposedWindows(), ExposedWindows(number="5.1", build="2600")
TABLE = load_fixes()
BAD_PORT = "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=4\u00ff5|"
ROLLUP = package("Package_for_RollupFix~31bf~amd64~~7601.24214.1.6", 0x70)
Changes = Mapping[str, Values | None]

pytestmark = needs_tool(HIVE_TOOL)


def exposure(system: bytes | None, software: bytes | None = None, found: Driver | None = None) -> Exposure:
    """Judge hives and a driver as those of one Windows."""
    hives = [open_hive(data, where=Where(path="hive")) for data in (system, software) if data is not None]
    told = [
        examine_hive(hive, HiveKind.SYSTEM if hive.key("Select") is not None else HiveKind.SOFTWARE) for hive in hives
    ]
    facts = ExposureFacts(
        volume="v1",
        windows="Windows",
        driver=found,
        settings=tuple(settings for one in told if one.system is not None for settings in one.system.settings),
        software=next((one.settings for one in told if one.settings is not None), None),
        is_stale=any(hive.is_stale for hive in hives),
    )
    return judge_exposure(facts, TABLE)


def row(judged: Exposure, check: Check, role: ControlSetRole = ControlSetRole.CURRENT) -> ExposureRow:
    [found] = [one for one in judged.rows if one.check is check and one.control_set in (None, role)]
    return found


def old_driver() -> Driver:
    return examine_driver(driver((6, 1, 7601, 17514)), "Windows/System32/drivers/srv.sys", None)


# --- the fix ---


@pytest.mark.parametrize(
    ("number", "build", "open_revision", "fixed_revision"),
    [
        ("5.1", 2600, 5512, 7208),
        ("5.2", 3790, 3959, 6021),
        ("6.0", 6002, 18005, 19743),
        ("6.0", 6002, 22000, 24067),
        ("6.1", 7600, 16385, None),
        ("6.1", 7601, 17514, 23689),
        ("6.2", 9200, 16384, 22099),
        ("6.3", 9600, 16384, 18604),
        ("10.0", 10240, 16384, 17319),
        ("10.0", 10586, 0, 839),
        ("10.0", 14393, 0, 953),
        ("10.0", 15063, None, 0),
    ],
)
def test_every_product_line_open_and_fixed(
    tmp_path: Path, number: str, build: int, open_revision: int | None, fixed_revision: int | None
) -> None:
    windows = ExposedWindows(number=number, build=str(build))
    system, software = windows.system(tmp_path / "SYSTEM"), windows.software(tmp_path / "SOFTWARE")
    major, minor = map(int, number.split("."))
    for revision, verdict in ((open_revision, EXPOSED), (fixed_revision, PROTECTED)):
        if revision is not None:
            found = examine_driver(driver((major, minor, build, revision)), "srv.sys", None)
            judged = exposure(system, software, found)
            assert (judged.verdict, row(judged, Check.DRIVER).verdict) == (verdict, verdict)
            assert judged.decided_by == (Check.DRIVER,)
            assert row(judged, Check.DRIVER).value.startswith(f"{number}.{build}.{revision}")


def test_driver_that_was_never_installed_protects_and_one_that_is_gone_does_not(tmp_path: Path) -> None:
    gone = Driver(path="srv.sys", state=DriverState.MISSING)
    registered = WINDOWS_7.system(tmp_path / "SYSTEM")
    assert row(exposure(registered, None, gone), Check.DRIVER).verdict is NOT_KNOWN
    never = WINDOWS_7.system(tmp_path / "SYSTEM", {r"Services\srv": None})
    assert exposure(never, None, gone).verdict is PROTECTED
    assert exposure(None, WINDOWS_7.software(tmp_path / "SOFTWARE"), gone).verdict is NOT_KNOWN


@pytest.mark.parametrize("state", [DriverState.UNKNOWN, DriverState.UNREADABLE])
def test_driver_that_cannot_be_read_says_nothing(tmp_path: Path, state: DriverState) -> None:
    judged = exposure(WINDOWS_7.system(tmp_path / "SYSTEM"), None, Driver(path="srv.sys", state=state))
    assert (judged.verdict, row(judged, Check.DRIVER).verdict) == (NOT_KNOWN, NOT_KNOWN)


@pytest.mark.parametrize(
    ("packages", "verdict", "said"),
    [
        (update("KB4012212"), PROTECTED, "KB4012212 installed 2017-05-12"),
        (update("KB4012215", 0x50), PROTECTED, "KB4012215 superseded 2017-05-12"),
        (update("KB4012215", 0x80), PROTECTED, "KB4012215 installed 2017-05-12"),
        (package("Package_2_for_KB4012212_SP1~31bf~x86~~6.1.1.0", 0x70), PROTECTED, "KB4012212 installed 2017-05-12"),
        (package("Package_for_RollupFix~31bf~amd64~~7601.24214.1.6", 0x70), PROTECTED, "rollup 7601.24214 installed"),
        (package("Package_for_RollupFix~31bf~amd64~~7601.23600.1.6", 0x70), NOT_KNOWN, "none of the list"),
        (package("Package_for_RollupFix~31bf~amd64~~9600.24214.1.6", 0x70), NOT_KNOWN, "none of the list"),
        (update("KB4012212", 0x40), NOT_KNOWN, "KB4012212 pending"),
        (update("KB4012212", 0x20), NOT_KNOWN, "KB4012212 absent"),
        (update("KB4015546"), NOT_KNOWN, "KB4015546 installed"),
        (update("KB4015546") | update("KB4015549"), PROTECTED, "KB4015549 installed 2017-05-12; KB4015546 installed"),
        (update("KB4100480"), NOT_KNOWN, "none of the list"),
        ({}, NOT_KNOWN, "none of the list"),
    ],
)
def test_updates_stand_in_where_there_is_no_file(
    tmp_path: Path, packages: dict[str, Values], verdict: ExposureVerdict, said: str
) -> None:
    judged = exposure(WINDOWS_7.system(tmp_path / "SYSTEM"), WINDOWS_7.software(tmp_path / "SOFTWARE", packages))
    told = row(judged, Check.UPDATES)
    assert (told.verdict, judged.verdict) == (verdict, verdict)
    assert told.value.startswith(said)


@pytest.mark.parametrize(
    ("hotfix", "verdict", "said"),
    [
        ({r"Microsoft\Updates\Windows XP\SP4\KB4012598": {"Type": "Update"}}, PROTECTED, "KB4012598 installed"),
        ({r"Microsoft\Windows NT\CurrentVersion\HotFix\KB4012598": {"Installed": 1}}, PROTECTED, "KB4012598 inst"),
        ({r"Microsoft\Windows NT\CurrentVersion\HotFix\KB4012598": {"Installed": 0}}, NOT_KNOWN, "KB4012598 absent"),
        ({r"Microsoft\Windows\CurrentVersion\Uninstall\KB4012598": {"DisplayName": "x"}}, PROTECTED, "KB4012598 inst"),
    ],
)
def test_hotfixes_of_windows_xp(tmp_path: Path, hotfix: dict[str, Values], verdict: ExposureVerdict, said: str) -> None:
    told = row(exposure(None, WINDOWS_XP.software(tmp_path / "SOFTWARE", hotfix)), Check.UPDATES)
    assert (told.verdict, told.value.startswith(said)) == (verdict, True)


@pytest.mark.parametrize(
    ("windows", "packages", "verdict", "reason"),
    [
        (ExposedWindows(build="7600"), update("KB4012212"), EXPOSED, "No fix was ever made"),
        (ExposedWindows(build="7600"), ROLLUP, EXPOSED, "No fix was ever made"),
        (WINDOWS_7, update("KB4013429"), NOT_KNOWN, "for another Windows"),
        (ExposedWindows(number="6.3", build="9600"), ROLLUP, NOT_KNOWN, "None of the listed"),
        (ExposedWindows(number="6.3", build="9600", revision=18623), update("KB4015547"), NOT_KNOWN, "April 2017"),
        (ExposedWindows(number="6.3", build="9600", revision=18604), update("KB4012213"), PROTECTED, "holds the fix"),
        (ExposedWindows(build="no"), update("KB4012212"), NOT_KNOWN, "for another Windows"),
    ],
)
def test_updates_of_another_product_do_not_count(
    tmp_path: Path, windows: ExposedWindows, packages: dict[str, Values], verdict: ExposureVerdict, reason: str
) -> None:
    told = row(exposure(None, windows.software(tmp_path / "SOFTWARE", packages)), Check.UPDATES)
    assert (told.verdict, reason in " ".join(told.reasons)) == (verdict, True)


def test_trap_of_april_2017_is_named(tmp_path: Path) -> None:
    software = WINDOWS_7.software(tmp_path / "SOFTWARE", update("KB4015546"))
    reasons = " ".join(row(exposure(None, software), Check.UPDATES).reasons)
    assert "April 2017 do not hold the fix" in reasons


def test_file_decides_where_updates_say_otherwise(tmp_path: Path) -> None:
    software = WINDOWS_7.software(tmp_path / "SOFTWARE", update("KB4012212"))
    judged = exposure(WINDOWS_7.system(tmp_path / "SYSTEM"), software, old_driver())
    assert (judged.verdict, judged.decided_by) == (EXPOSED, (Check.DRIVER,))
    assert row(judged, Check.UPDATES).verdict is PROTECTED
    assert "The installed updates say otherwise; the file decides." in row(judged, Check.DRIVER).reasons


@needs_data("plaso/SOFTWARE.xz")
def test_no_update_since_the_fix_was_published() -> None:
    told = row(exposure(None, unpacked("plaso/SOFTWARE.xz")), Check.UPDATES)
    assert (told.verdict, told.value) == (EXPOSED, "none of the list; newest 2012-03-14")


@pytest.mark.parametrize(("build", "revision", "verdict"), [
    ("14393", 2248, PROTECTED), ("14393", 693, NOT_KNOWN), ("16299", None, PROTECTED)
])  # fmt: skip
def test_windows_10_tells_by_its_own_revision(
    tmp_path: Path, build: str, revision: int | None, verdict: ExposureVerdict
) -> None:
    windows = ExposedWindows(number="10.0", build=build, revision=revision)
    assert row(exposure(None, windows.software(tmp_path / "SOFTWARE")), Check.UPDATES).verdict is verdict


def test_fix_that_waits_for_the_next_start_is_told_and_does_not_protect(tmp_path: Path) -> None:
    renames = (r"\??\C:\WINDOWS\system32\SET3A.tmp", r"!\??\C:\WINDOWS\system32\drivers\srv.sys")
    system = WINDOWS_7.system(
        tmp_path / "SYSTEM", {r"Control\Session Manager": {"PendingFileRenameOperations": renames}}
    )
    waiting = update("KB4012212", 0x60) | {rf"{SERVICING}\RebootPending": {"x": 1}}
    judged = exposure(system, WINDOWS_7.software(tmp_path / "SOFTWARE", waiting), old_driver())
    told = [one.value for one in judged.rows if one.check is Check.PENDING]
    assert told == [
        r"C:\WINDOWS\system32\SET3A.tmp -> C:\WINDOWS\system32\drivers\srv.sys",
        "KB4012212 pending 2017-05-12",
    ]
    assert judged.verdict is EXPOSED
    only_a_restart = WINDOWS_7.software(tmp_path / "SOFTWARE", {rf"{SERVICING}\RebootPending": {"x": 1}})
    assert row(exposure(None, only_a_restart), Check.PENDING).value == "RebootPending"


# --- what closes the way ---

CLOSED: list[tuple[ExposedWindows, Changes, Check, str]] = [
    (WINDOWS_7, {r"Services\LanmanServer\Parameters": {"SMB1": 0}}, Check.SMB1_SERVER, "SMB1 = 0"),
    (WINDOWS_7, {r"Services\srv": {"Start": 4}}, Check.SMB1_SERVER, r"srv\Start = 4"),
    (WINDOWS_7, {r"Services\srv": None}, Check.SMB1_SERVER, "not set"),
    (WINDOWS_7, {r"Services\LanmanServer": {"Start": 4}}, Check.SERVER_SERVICE, r"LanmanServer\Start = 4"),
    (WINDOWS_XP, {r"Services\NetBT\Parameters": {"SMBDeviceEnabled": 0}}, Check.SMB_DEVICE, "= 0"),
    (WINDOWS_XP, {r"Services\NetBT\Parameters": {"TransportBindName": ""}}, Check.TRANSPORT, "is empty"),
    (WINDOWS_7, {RULES: {"{1}": DENY_445}}, Check.PORT_445, "Domain: closed by {1}; Private: closed by {1}"),
    (WINDOWS_7, {rf"{POLICY}\DomainProfile": {"DoNotAllowExceptions": 1}}, Check.PORT_445, "no exceptions"),
    (WINDOWS_XP, {rf"{POLICY}\DomainProfile\GloballyOpenPorts\List": {"445:TCP": "445:TCP:*:Disabled:deny445"}},
     Check.PORT_445, "Domain: closed, 445:TCP:*:Disabled:deny445; Standard: closed, no rule opens it"),
]  # fmt: skip


@pytest.mark.parametrize(("windows", "changes", "check", "said"), CLOSED)
def test_one_closed_gate_mitigates(
    tmp_path: Path, windows: ExposedWindows, changes: Changes, check: Check, said: str
) -> None:
    software = windows.software(tmp_path / "SOFTWARE")
    judged = exposure(windows.system(tmp_path / "SYSTEM", changes), software, old_driver())
    assert (judged.verdict, judged.decided_by) == (MITIGATED, (check,))
    assert said in row(judged, check).value
    still_open = exposure(windows.system(tmp_path / "SYSTEM"), software, old_driver())
    assert (still_open.verdict, row(still_open, check).verdict) == (EXPOSED, EXPOSED)


@pytest.mark.parametrize("value", [{"SMBDeviceEnabled": 0}, {"TransportBindName": ""}])
def test_switches_of_windows_xp_close_nothing_on_later_ones(tmp_path: Path, value: Values) -> None:
    system = WINDOWS_7.system(tmp_path / "SYSTEM", {r"Services\NetBT\Parameters": value})
    judged = exposure(system, WINDOWS_7.software(tmp_path / "SOFTWARE"), old_driver())
    check = Check.SMB_DEVICE if "SMBDeviceEnabled" in value else Check.TRANSPORT
    assert (judged.verdict, row(judged, check).verdict) == (EXPOSED, NOTED)


def test_smb1_switch_of_windows_vista_closes_nothing_on_earlier_ones(tmp_path: Path) -> None:
    changes: Changes = {r"Services\LanmanServer\Parameters": {"SMB1": 0}}
    software = WINDOWS_XP.software(tmp_path / "SOFTWARE")
    judged = exposure(WINDOWS_XP.system(tmp_path / "SYSTEM", changes), software)
    assert (judged.verdict, row(judged, Check.SMB1_SERVER).verdict) == (NOT_KNOWN, NOTED)
    assert row(exposure(WINDOWS_7.system(tmp_path / "SYSTEM", changes)), Check.SMB1_SERVER).verdict is NOTED
    without_driver: Changes = {**changes, r"Services\srv": {"Start": 4}}
    judged = exposure(WINDOWS_XP.system(tmp_path / "SYSTEM", without_driver), software)
    assert (judged.verdict, judged.decided_by) == (MITIGATED, (Check.SMB1_SERVER,))


def test_netbios_client_and_dcom_are_told_and_decide_nothing(tmp_path: Path) -> None:
    changes: Changes = {
        INTERFACE: {"NetbiosOptions": 2},
        r"Services\mrxsmb10": {"Start": 4},
        r"Services\LanmanWorkstation": {"DependOnService": ("Bowser", "MRxSmb20", "NSI")},
    }
    dcom: dict[str, Values] = {
        r"Microsoft\Ole": {"EnableDCOM": "N"},
        r"Microsoft\Rpc": {"DCOM Protocols": ("ncalrpc",)},
    }
    software = WINDOWS_7.software(tmp_path / "SOFTWARE", dcom)
    judged = exposure(WINDOWS_7.system(tmp_path / "SYSTEM", changes), software, old_driver())
    assert judged.verdict is EXPOSED
    told = {check: row(judged, check) for check in (Check.NETBIOS, Check.SMB1_CLIENT, Check.DCOM, Check.DCOM_PROTOCOLS)}
    assert [one.verdict for one in told.values()] == [MITIGATED, NOTED, MITIGATED, MITIGATED]
    assert told[Check.SMB1_CLIENT].value == (
        r"mrxsmb10\Start = 4; LanmanWorkstation\DependOnService = Bowser, MRxSmb20, NSI"
    )


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=445|Name=a|", True),
        ("v2.30|Action=Allow|Active=TRUE|Dir=In|Name=all|", True),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=256|App=System|", True),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=80|LPort=445|", True),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort2_10=400-500|", True),
        ("v2.10|Action=ByPass|Active=TRUE|Dir=In|Protocol=6|LPort=445|Security=Authenticate|", True),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Public|LPort=445|RA4=LocalSubnet|", True),
        ("v2.99|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=445|FieldOfTomorrow=x|", True),
        ("v2.10|Action=Allow|Active=FALSE|Dir=In|Protocol=6|LPort=445|", False),
        ("v2.10|Action=Allow|Active=TRUE|Dir=Out|Protocol=6|LPort=445|", False),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=17|LPort=445|", False),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=4450|", False),
        ("v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=RPC|", False),
        (r"v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=445|App=C:\x.exe|", False),
        (r"v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|App=%SystemRoot%\system32\svchost.exe|Svc=x|", False),
        ("v2.26|Action=Allow|Active=TRUE|Dir=In|Protocol=6|App=System|TTK=WFDKmDriver|", False),
        ("v2.22|Action=Allow|Active=TRUE|Dir=In|AppPkgId=S-1-15-2-1|", False),
    ],
)
def test_rules_of_windows_vista_and_later(tmp_path: Path, rule: str, is_open: bool) -> None:
    system = WINDOWS_7.system(tmp_path / "SYSTEM", {RULES: {"FPS-445": rule}})
    told = row(exposure(system, WINDOWS_7.software(tmp_path / "SOFTWARE")), Check.PORT_445)
    assert (told.verdict, told.value.count("open by FPS-445")) == (
        (EXPOSED, 1 if "Profile=" in rule else 3) if is_open else (MITIGATED, 0)
    )


@pytest.mark.parametrize(
    "limit",
    ["RA4=10.0.0.1", "IF={1}", "FieldOfTomorrow=x", "LA4=10.0.0.9", "App=C:\\x.exe", "Profile=Public", "Dir=Out"],
)
def test_block_rule_with_a_limit_closes_nothing(tmp_path: Path, limit: str) -> None:
    rule = f"v2.10|Action=Block|Active=TRUE|{'' if 'Dir' in limit else 'Dir=In|'}Protocol=6|LPort=445|{limit}|"
    system = WINDOWS_7.system(tmp_path / "SYSTEM", {RULES: {"{1}": rule}})
    assert row(exposure(system), Check.PORT_445).verdict is EXPOSED


@pytest.mark.parametrize(
    "rule",
    [
        *("", "v2.10", "Action=Block|Active=TRUE|Dir=In|", "v2.10|Action=Allow|Active=TR", "x" * 99, BAD_PORT),
        "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=TCP|LPort=445|",
        "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Guest|LPort=445|",
    ],
)
def test_rule_that_cannot_be_read_leaves_no_port_closed(tmp_path: Path, rule: str) -> None:
    changes: Changes = {RULES: {"FPS-445": rule, "FPS-139": rule}}
    system, software = WINDOWS_7.system(tmp_path / "SYSTEM", changes), WINDOWS_7.software(tmp_path / "SOFTWARE")
    told = row(exposure(system, software), Check.PORT_445)
    assert (told.verdict, "rules unreadable" in told.value) == (NOT_KNOWN, True)


@pytest.mark.parametrize(
    ("changes", "firewall"),
    [
        ({r"Services\MpsSvc": {"Start": 4}}, "service disabled; Domain: off; Private: off; Public: off"),
        ({rf"{POLICY}\PublicProfile": {"EnableFirewall": 0}}, "Domain: on; Private: on; Public: off"),
    ],
)
def test_firewall_that_is_off_leaves_every_port_open(tmp_path: Path, changes: Changes, firewall: str) -> None:
    judged = exposure(WINDOWS_7.system(tmp_path / "SYSTEM", {RULES: {"{1}": DENY_445}, **changes}))
    assert (row(judged, Check.FIREWALL).verdict, row(judged, Check.FIREWALL).value) == (EXPOSED, firewall)
    for check in (Check.PORT_445, Check.PORT_139, Check.PORT_135):
        assert row(judged, check).verdict is EXPOSED


def test_group_policy_goes_before_what_is_set_locally(tmp_path: Path) -> None:
    system = WINDOWS_7.system(tmp_path / "SYSTEM")
    off: dict[str, Values] = {rf"{GROUP_POLICY}\PrivateProfile": {"EnableFirewall": 0}}
    judged = exposure(system, WINDOWS_7.software(tmp_path / "SOFTWARE", off))
    assert row(judged, Check.FIREWALL).value == "Domain: on; Private: off; Public: on"
    blocked: dict[str, Values] = {rf"{GROUP_POLICY}\FirewallRules": {"gpo": DENY_445}}
    judged = exposure(system, WINDOWS_7.software(tmp_path / "SOFTWARE", blocked))
    assert "Domain: closed by gpo" in row(judged, Check.PORT_445).value


def port_445(folder: Path, windows: ExposedWindows, changes: Changes, policy: Mapping[str, Values]) -> ExposureRow:
    """Judge port 445 of local settings under a group policy."""
    software = windows.software(folder / "SOFTWARE", {rf"{GROUP_POLICY}\{key}": one for key, one in policy.items()})
    return row(exposure(windows.system(folder / "SYSTEM", changes), software), Check.PORT_445)


def in_every_profile(values: Values) -> dict[str, Values]:
    return {f"{name}Profile": values for name in ("Domain", "Private", "Public")}


ALLOW_445 = "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=445|"
NO_PORTS: Changes = {rf"{POLICY}\DomainProfile\GloballyOpenPorts\List": None}
NO_RULES: Changes = {RULES: {"FPS-445": ALLOW_445.replace("TRUE", "FALSE")}}
SHIELDS_UP: Changes = {
    rf"{POLICY}\{name}Profile": {"DoNotAllowExceptions": 1} for name in ("Domain", "Standard", "Public")
}
NO_MERGE = in_every_profile({"AllowLocalPolicyMerge": 0})
GROUP_POLICIES: list[tuple[ExposedWindows, Changes, dict[str, Values], ExposureVerdict]] = [
    (WINDOWS_XP, NO_PORTS, {}, MITIGATED),
    (WINDOWS_XP, NO_PORTS, {r"StandardProfile\GloballyOpenPorts\List": {"x": "445:TCP:*:Enabled:x"}}, EXPOSED),
    (WINDOWS_XP, NO_PORTS, {r"StandardProfile\GloballyOpenPorts\List": {"x": "445:TCP:*:On:x"}}, NOT_KNOWN),
    (WINDOWS_XP, NO_PORTS, {r"StandardProfile\Services\FileAndPrint": {"Enabled": 1}}, EXPOSED),
    (WINDOWS_XP, NO_PORTS, {r"StandardProfile\Services\FileAndPrint": {"Enabled": 0}}, MITIGATED),
    (WINDOWS_XP, NO_PORTS, {r"StandardProfile\Services\FileAndPrint": {"Enabled": 2}}, NOT_KNOWN),
    (WINDOWS_XP, {}, {r"DomainProfile\Services\FileAndPrint": {"Enabled": 0}}, NOT_KNOWN),
    (WINDOWS_XP, NO_PORTS, {r"DomainProfile\RemoteAdminSettings": {"Enabled": 1}}, EXPOSED),
    (WINDOWS_XP, {}, {r"DomainProfile\GloballyOpenPorts": {"AllowUserPrefMerge": 0}}, NOT_KNOWN),
    (WINDOWS_XP, {**NO_PORTS, rf"{POLICY}\StandardProfile\RemoteAdminSettings": {"Enabled": 1}}, {}, EXPOSED),
    (WINDOWS_7, NO_RULES, {}, MITIGATED),
    (WINDOWS_7, NO_RULES, {r"StandardProfile\Services\FileAndPrint": {"Enabled": 1}}, EXPOSED),
    (WINDOWS_7, NO_RULES, {r"DomainProfile\GloballyOpenPorts\List": {"x": "445:TCP:*:Enabled:x"}}, EXPOSED),
    (WINDOWS_7, NO_RULES, in_every_profile({"DefaultInboundAction": 0}), EXPOSED),
    (WINDOWS_7, NO_RULES, in_every_profile({"DefaultInboundAction": 7}), NOT_KNOWN),
    (WINDOWS_7, NO_RULES, in_every_profile({"EnableFirewall": 7}), NOT_KNOWN),
    (WINDOWS_7, {}, NO_MERGE, MITIGATED),
    (WINDOWS_7, {}, in_every_profile({"AllowLocalPolicyMerge": 1}), EXPOSED),
    (WINDOWS_7, {}, in_every_profile({"AllowLocalPolicyMerge": 7}), NOT_KNOWN),
    (WINDOWS_7, {RULES: {"deny": DENY_445}}, {}, MITIGATED),
    (WINDOWS_7, {RULES: {"deny": DENY_445}}, {**NO_MERGE, "FirewallRules": {"smb": ALLOW_445}}, EXPOSED),
    (WINDOWS_7, {RULES: {"deny": DENY_445}}, {"FirewallRules": {"smb": ALLOW_445}}, MITIGATED),
    (WINDOWS_7, SHIELDS_UP, {}, MITIGATED),
    (WINDOWS_7, SHIELDS_UP, in_every_profile({"DoNotAllowExceptions": 0}), EXPOSED),
    (WINDOWS_7, {**NO_RULES, r"Services\BFE": {"Start": 4}}, {}, EXPOSED),
    (WINDOWS_7, {**NO_RULES, r"Services\BFE": None}, {}, NOT_KNOWN),
    (WINDOWS_7, {**NO_RULES, r"Services\MpsSvc": {"Start": 3}}, {}, NOT_KNOWN),
]


@pytest.mark.parametrize(("windows", "changes", "policy", "verdict"), GROUP_POLICIES)
def test_port_under_group_policy(
    tmp_path: Path,
    windows: ExposedWindows,
    changes: Changes,
    policy: dict[str, Values],
    verdict: ExposureVerdict,
) -> None:
    assert port_445(tmp_path, windows, changes, policy).verdict is verdict


def test_port_is_not_called_closed_where_group_policy_was_not_read(tmp_path: Path) -> None:
    told = row(exposure(WINDOWS_7.system(tmp_path / "SYSTEM", {RULES: {"{1}": DENY_445}})), Check.PORT_445)
    assert (told.verdict, told.value.count("group policy not known")) == (NOT_KNOWN, 3)


def test_ports_of_dcom_and_netbios(tmp_path: Path) -> None:
    rule = "v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|LPort=RPC-EPMap|Svc=Rpcss|"
    software = WINDOWS_7.software(tmp_path / "SOFTWARE")
    judged = exposure(WINDOWS_7.system(tmp_path / "SYSTEM", {RULES: {"rpc": rule}}), software)
    assert (row(judged, Check.PORT_135).verdict, row(judged, Check.PORT_139).verdict) == (EXPOSED, EXPOSED)
    assert row(judged, Check.PORT_135).value.startswith("Domain: open by rpc; Private: closed")
    assert row(exposure(WINDOWS_7.system(tmp_path / "SYSTEM"), software), Check.PORT_135).verdict is MITIGATED


# --- control sets ---


def test_last_known_good_is_told_where_it_differs(tmp_path: Path) -> None:
    open_before = WINDOWS_7.system(
        tmp_path / "SYSTEM", {r"Services\LanmanServer\Parameters": {"SMB1": 0}}, last_good={}
    )
    judged = exposure(open_before, None, old_driver())
    assert (judged.verdict, judged.decided_by) == (MITIGATED, (Check.SMB1_SERVER,))
    [other] = [one for one in judged.rows if one.control_set is ControlSetRole.LAST_KNOWN_GOOD]
    assert (other.check, other.verdict, "ControlSet002" in other.source) == (Check.SMB1_SERVER, EXPOSED, True)
    same = exposure(WINDOWS_7.system(tmp_path / "SYSTEM", last_good={}))
    assert {one.control_set for one in same.rows} == {ControlSetRole.CURRENT}


def test_closed_only_in_the_last_known_good_closes_nothing(tmp_path: Path) -> None:
    system = WINDOWS_7.system(tmp_path / "SYSTEM", last_good={r"Services\LanmanServer": {"Start": 4}})
    assert exposure(system, None, old_driver()).verdict is EXPOSED


# --- damage ---


def _judged(system: bytes, software: bytes) -> ExposureVerdict | None:
    try:
        return exposure(system, software, old_driver()).verdict
    except ArtefactError:
        return None


@pytest.mark.parametrize("of_system", [True, False])
def test_damaged_hives_never_close_the_hole(tmp_path: Path, of_system: bool) -> None:
    system, software = WINDOWS_7.system(tmp_path / "SYSTEM"), WINDOWS_7.software(tmp_path / "SOFTWARE")
    whole = system if of_system else software
    chance = random.Random(2017)
    for _try in range(200 if of_system else 50):
        start, length = chance.randrange(4096, len(whole)), chance.choice((4, 16, 64, 512))
        filler = chance.choice((bytes(length), b"\xff" * length))
        damaged = (whole[:start] + filler)[: len(whole)] + whole[start + length :]
        verdict = _judged(damaged, software) if of_system else _judged(system, damaged)
        assert verdict in (EXPOSED, None), (start, length, filler[:1])


def test_cut_off_hive_leaves_its_settings_not_known(tmp_path: Path) -> None:
    whole = WINDOWS_7.system(tmp_path / "SYSTEM")
    for length in range(4096 + 512, len(whole), 1024):
        assert _judged(whole[:length], WINDOWS_7.software(tmp_path / "SOFTWARE")) in (EXPOSED, None)


def test_from_nothing_follows_nothing(tmp_path: Path) -> None:
    judged = judge_exposure(ExposureFacts(volume=None, windows="Windows"), TABLE)
    assert (judged.verdict, judged.rows, judged.decided_by) == (NOT_KNOWN, (), ())
    assert exposure(None, WINDOWS_7.software(tmp_path / "SOFTWARE")).verdict is NOT_KNOWN
    without_system = exposure(None, WINDOWS_7.software(tmp_path / "SOFTWARE"), old_driver())
    assert "Part of what could close the way is not known." in without_system.reasons


@given(st.integers(0, 11), st.integers(0, 1), st.integers(0, 25000), st.integers(0, 40000))
def test_random_versions_are_protected_only_from_the_minimum_on(
    major: int, minor: int, build: int, revision: int
) -> None:
    found = Driver(path="srv.sys", state=DriverState.VERSION_READ, version=(major, minor, build, revision))
    judged = judge_exposure(ExposureFacts(volume=None, windows="Windows", driver=found), TABLE)
    expected = {True: PROTECTED, False: EXPOSED, None: NOT_KNOWN}[TABLE.is_fixed((major, minor, build, revision))]
    assert judged.verdict is expected


# --- real hives ---


@needs_data("plaso/SYSTEM.xz", "plaso/SOFTWARE.xz")
def test_real_windows_7_of_2012_was_open() -> None:
    judged = exposure(unpacked("plaso/SYSTEM.xz"), unpacked("plaso/SOFTWARE.xz"))
    assert (judged.verdict, judged.decided_by) == (EXPOSED, (Check.UPDATES,))
    assert row(judged, Check.PORT_445).value == (
        "Domain: open by FPS-SMB-In-TCP-NoScope; Private: closed, no rule opens it; Public: closed, no rule opens it"
    )
    assert {one.check for one in judged.rows} == set(Check) - {Check.DRIVER, Check.PENDING}
    assert all(one.control_set is not ControlSetRole.LAST_KNOWN_GOOD for one in judged.rows)


@needs_data("regipy/SYSTEM_2.xz", "regipy/SYSTEM_WIN_10_1709.xz")
@pytest.mark.parametrize("path", ["regipy/SYSTEM_2.xz", "regipy/SYSTEM_WIN_10_1709.xz"])
def test_real_windows_that_let_nobody_in_and_were_not_written_out(tmp_path: Path, path: str) -> None:
    assert exposure(unpacked(path)).verdict is NOT_KNOWN
    judged = exposure(unpacked(path), WINDOWS_7.software(tmp_path / "SOFTWARE"))
    assert (judged.verdict, judged.decided_by) == (MITIGATED, (Check.PORT_445,))
    assert "The last changes to the registry were not written out" in judged.reasons[1]


@needs_data("regipy/corrupted_system_hive.xz")
def test_real_corrupt_hive_tells_what_it_does_not_know() -> None:
    judged = exposure(unpacked("regipy/corrupted_system_hive.xz"))
    assert judged.verdict is NOT_KNOWN
    told = {one.check: one.verdict for one in judged.rows}
    assert (told[Check.SMB1_SERVER], told[Check.SMB_DEVICE], told[Check.FIREWALL]) == (NOT_KNOWN, NOT_KNOWN, EXPOSED)

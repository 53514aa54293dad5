"""What the settings of a control set mean: SMB version 1, the Server service, ports 445 and 139, DCOM at port 135.

Sources: KB2696547 (Microsoft) for SMBv1; the first article of May 2017 for `SMBDeviceEnabled`, NetBIOS and DCOM, the
second one for the Server service. A value that is not there means Windows' default, where damage does not hide it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triage.model.exposure import Check, ExposureRow, ExposureVerdict, Phrase, phrased
from triage.model.exposure_facts import ControlSetSettings, Found, ServiceStart, SoftwareSettings, Version
from triage.model.text import N_

_DISABLED = 4
_NETBIOS_OFF = 2
_VISTA = 6
_TCP = "ncacn_ip_tcp"
_NAMED = 8

_SMB1_OFF = N_("The SMBv1 server is switched off.")
_SMB1_NEW_ONLY = N_("Windows Vista and later heed SMB1 = 0; Windows XP and 2003 do not, and this may be one of them.")
_SMB1_ON = N_("The SMBv1 server is on: nothing switches it off.")
_SERVER_OFF = N_("The Server service does not start.")
_SERVER_ON = N_("The Server service can run: it shares files over ports 445 and 139.")
_CLIENT = N_("The SMBv1 client is not how the worm comes in.")
_PORT_445_OFF = N_("SMB over TCP is switched off: port 445 is closed.")
_PORT_445_ON = N_("SMB over TCP is on, as by default.")
_OLD_ONLY = N_("Windows XP and 2003 heed this; that later ones do is not documented.")
_NETBIOS_ALL_OFF = N_("NetBIOS over TCP/IP is off on every interface: port 139 is closed.")
_NETBIOS_ON = N_("NetBIOS over TCP/IP is on, or as the network says, on at least one interface: port 139 is open.")
_DCOM_OFF = N_("DCOM is switched off.")
_DCOM_ON = N_("DCOM is on, as by default: port 135 answers.")
_NO_TCP = N_("DCOM has no TCP/IP among its protocols.")
_HAS_TCP = N_("DCOM listens on TCP/IP, as by default.")
_IS = "{name} = {value}"
_IS_EMPTY = N_("{name} is empty")
_NOT_SET = N_("{name} not set")
_NOT_REACHED = N_("{name} not reached")
_NOT_THERE = N_("not there")
_AND_MORE = N_("and {count} more")
_NOT_TOLD = N_("The registry does not tell.")

_Judged = tuple[ExposureVerdict, str]
_NOT_KNOWN: _Judged = (ExposureVerdict.NOT_KNOWN, _NOT_TOLD)


def smb_rows(settings: ControlSetSettings, windows: Version | None) -> Iterator[ExposureRow]:
    """Yield the rows of one control set; `windows` is the version of Windows, where it is known."""
    found, judged = _smb1_server(settings, windows)
    yield _row(Check.SMB1_SERVER, settings, [found], judged)
    yield _row(
        Check.SERVER_SERVICE, settings, [settings.server.start], _service(settings.server, _SERVER_OFF, _SERVER_ON)
    )
    client = [settings.smb1_client.start, settings.workstation_depends_on]
    yield _row(Check.SMB1_CLIENT, settings, client, (ExposureVerdict.NOTED, _CLIENT))
    yield _row(Check.SMB_DEVICE, settings, [settings.smb_device], _switched_off(settings.smb_device, 0, windows))
    yield _row(
        Check.TRANSPORT, settings, [settings.transport_name], _switched_off(settings.transport_name, "", windows)
    )
    yield _row(Check.NETBIOS, settings, settings.netbios, _netbios(settings.netbios))


def dcom_rows(software: SoftwareSettings) -> Iterator[ExposureRow]:
    """Yield the rows of DCOM."""
    dcom, protocols = software.dcom, software.dcom_protocols
    yield _row(Check.DCOM, None, [dcom], _dcom(dcom))
    yield _row(Check.DCOM_PROTOCOLS, None, [protocols], _dcom_protocols(protocols))


def _smb1_server(settings: ControlSetSettings, windows: Version | None) -> tuple[Found, _Judged]:
    """Judge by the server's own switch, which Windows Vista brought, then by its driver; return what decided."""
    off, on = (ExposureVerdict.MITIGATED, _SMB1_OFF), (ExposureVerdict.EXPOSED, _SMB1_ON)
    if settings.smb1.value == 0 and windows is not None and windows[0] >= _VISTA:
        return settings.smb1, off
    judged = _service(settings.smb1_driver, _SMB1_OFF, _SMB1_ON)
    if judged != on:
        return settings.smb1_driver.start, judged
    if settings.smb1.value == 0:
        return settings.smb1, (ExposureVerdict.NOTED, _SMB1_NEW_ONLY)
    return settings.smb1, on if settings.smb1.certain else _NOT_KNOWN


def _service(service: ServiceStart, if_off: str, if_on: str) -> _Judged:
    """Judge a service: one that is not registered does not start."""
    if service.start.value == _DISABLED or (not service.registered and service.start.certain):
        return ExposureVerdict.MITIGATED, if_off
    return (ExposureVerdict.EXPOSED, if_on) if isinstance(service.start.value, int) else _NOT_KNOWN


def _switched_off(found: Found, off: int | str, windows: Version | None) -> _Judged:
    """Judge a switch of NetBT that only old Windows is known to heed."""
    if found.value is None and not found.certain:
        return _NOT_KNOWN
    if found.value != off:
        return ExposureVerdict.EXPOSED, _PORT_445_ON
    if windows is None or windows[0] >= _VISTA:
        return ExposureVerdict.NOTED, _OLD_ONLY
    return ExposureVerdict.MITIGATED, _PORT_445_OFF


def _netbios(interfaces: Sequence[Found]) -> _Judged:
    if any(one.value != _NETBIOS_OFF and (one.value is not None or one.certain) for one in interfaces):
        return ExposureVerdict.EXPOSED, _NETBIOS_ON
    if not interfaces or any(one.value is None for one in interfaces):
        return _NOT_KNOWN
    return ExposureVerdict.MITIGATED, _NETBIOS_ALL_OFF


def _dcom(found: Found) -> _Judged:
    if isinstance(found.value, str) and found.value.casefold() == "n":
        return ExposureVerdict.MITIGATED, _DCOM_OFF
    return (ExposureVerdict.EXPOSED, _DCOM_ON) if found.value is not None or found.certain else _NOT_KNOWN


def _dcom_protocols(found: Found) -> _Judged:
    if not isinstance(found.value, str):
        return (ExposureVerdict.EXPOSED, _HAS_TCP) if found.certain else _NOT_KNOWN
    has_tcp = _TCP in found.value.casefold().split(", ")
    return (ExposureVerdict.EXPOSED, _HAS_TCP) if has_tcp else (ExposureVerdict.MITIGATED, _NO_TCP)


def _row(check: Check, settings: ControlSetSettings | None, found: Sequence[Found], judged: _Judged) -> ExposureRow:
    said = [Phrase(text=_shown(one), of={"name": _name(one), "value": str(one.value)}) for one in found[:_NAMED]]
    if len(found) > _NAMED:
        said.append(Phrase(text=_AND_MORE, of={"count": str(len(found) - _NAMED)}))
    said = said or [Phrase(text=_NOT_THERE)]
    return ExposureRow(
        check=check,
        verdict=judged[0],
        value=phrased(said),
        phrases=tuple(said),
        source=found[0].source if found else "",
        reasons=(judged[1],),
        control_set=None if settings is None else settings.role,
    )


def _name(found: Found) -> str:
    r"""Return a value's name with that of its service: `LanmanServer\Start`, `LanmanServer\Parameters\SMB1`."""
    names = found.source.split("\\")
    return "\\".join(names[-3:] if names[-2].casefold() == "parameters" else names[-2:])


def _shown(found: Found) -> str:
    """Return the words for a value, with places for it and its name."""
    if found.value is None:
        return _NOT_SET if found.certain else _NOT_REACHED
    return _IS if found.value != "" else _IS_EMPTY

r"""What a control set says of file sharing: the SMB server and its version 1, NetBIOS, and the firewall before them.

Keys and values: "How to detect, enable and disable SMBv1, SMBv2 and SMBv3 in Windows" (Microsoft, KB2696547);
`SMBDeviceEnabled` and `TransportBindName` of NetBT ("Direct hosting of SMB over TCP/IP", KB204279, and the first
article of May 2017); `NetbiosOptions` of each interface (0 as DHCP says, 1 on, 2 off).
"""

from __future__ import annotations

import re

from triage.artefacts.firewall import read_firewall
from triage.artefacts.lookup import Lookup
from triage.artefacts.pending_renames import PendingRenames
from triage.model.exposure import ControlSetRole
from triage.model.exposure_facts import ControlSetSettings, ServiceStart

_DRIVER = re.compile(r"\\drivers\\srv\.sys$", re.IGNORECASE)


def read_control_set(
    control_set: Lookup, number: int, role: ControlSetRole, pending: tuple[PendingRenames, ...]
) -> ControlSetSettings:
    """Read one control set; `pending` are its renames at the next start."""
    services = control_set.key("Services")
    net_bt = services.key(r"NetBT\Parameters")
    return ControlSetSettings(
        number=number,
        role=role,
        smb1=services.key(r"LanmanServer\Parameters").found("SMB1"),
        smb1_driver=_start(services, "srv"),
        smb1_client=_start(services, "mrxsmb10"),
        workstation_depends_on=services.key("LanmanWorkstation").found("DependOnService"),
        server=_start(services, "LanmanServer"),
        smb_device=net_bt.found("SMBDeviceEnabled"),
        transport_name=net_bt.found("TransportBindName"),
        netbios=tuple(interface.found("NetbiosOptions") for interface in net_bt.key("Interfaces").subkeys()),
        firewall=read_firewall(services),
        replaces_driver=tuple(
            f"{rename.source} -> {rename.target}"
            for one in pending
            for rename in one.operations
            if _DRIVER.search(rename.target)
        ),
    )


def _start(services: Lookup, name: str) -> ServiceStart:
    service = services.key(name)
    return ServiceStart(registered=service.is_there, start=service.found("Start"))

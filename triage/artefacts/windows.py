"""One picture of a volume's Windows from its hives."""

from __future__ import annotations

from triage.artefacts.software import SoftwareHive
from triage.artefacts.system import SystemHive
from triage.model.volume import WindowsInfo


def windows_info(
    system: SystemHive | None, software: SoftwareHive | None, *, work_directory_name: str | None = None
) -> WindowsInfo:
    """Join what the two hives say; either may be missing."""
    of_system = WindowsInfo() if system is None else system.windows
    of_software = WindowsInfo() if software is None else software.windows
    return WindowsInfo(
        computer_name=of_system.computer_name,
        product=of_software.product,
        version=of_software.version,
        build=of_software.build,
        time_zone=of_system.time_zone,
        current_control_set=of_system.current_control_set,
        last_known_good_control_set=of_system.last_known_good_control_set,
        work_directory_name=work_directory_name,
    )

"""One picture of a volume's Windows from its hives."""

from __future__ import annotations

from msgspec.structs import replace

from triage.artefacts.locate import windows_folder
from triage.artefacts.software import SoftwareHive
from triage.artefacts.system import SystemHive
from triage.model.volume import HibernationFile, WindowsInfo


def windows_info(
    system: SystemHive | None,
    software: SoftwareHive | None,
    *,
    work_directory_name: str | None = None,
    hibernation_file: HibernationFile | None = None,
) -> WindowsInfo:
    """Join what the two hives say; either may be missing."""
    of_system = WindowsInfo() if system is None else system.windows
    of_software = WindowsInfo() if software is None else software.windows
    hive = system or software
    return replace(
        of_system,
        folder=None if hive is None else windows_folder(hive.where.path or ""),
        product=of_software.product,
        version=of_software.version,
        build=of_software.build,
        installed_utc=of_software.installed_utc,
        work_directory_name=work_directory_name,
        hibernation_file=hibernation_file,
    )

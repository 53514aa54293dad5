"""What a Windows tells about its exposure before anybody judges it: values as found, each with its source."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.exposure import ControlSetRole

Version = tuple[int, int, int, int]
"""A file's version or Windows' own: major, minor, build, revision."""


class Found(Struct, frozen=True, kw_only=True):
    """One value of the registry; `value` is None where it is not there.

    An absent value is not `certain` where damage to the hive may hide it.
    """

    source: str
    value: int | str | None = None
    certain: bool = True


class DriverState(StrEnum):
    """Whether a driver's file is there, and tells its version. `UNKNOWN`: it may be, but the volume is damaged."""

    VERSION_READ = "version-read"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Driver(Struct, frozen=True, kw_only=True):
    """The file that has the hole. `version` only where it could be read, `detail` says why it could not.

    `changed_utc` is when the file came to its place, or was changed since.
    """

    path: str
    state: DriverState
    version: Version | None = None
    changed_utc: str | None = None
    detail: str = ""


class RuleAction(StrEnum):
    """What a firewall rule does; `OFF` is an open port of Windows XP that was switched off (`deny445`)."""

    ALLOW = "allow"
    BLOCK = "block"
    OFF = "off"


class PortRule(Struct, frozen=True, kw_only=True):
    """A rule for traffic that comes in at some of the ports looked at, in some profiles.

    `scope` is what limits it (addresses, interfaces, authentication), "" where nothing does.
    """

    name: str
    action: RuleAction
    ports: tuple[int, ...]
    profiles: tuple[str, ...]
    scope: str = ""


class FirewallProfile(Struct, frozen=True, kw_only=True):
    """One profile's switches: firewall on, all exceptions ignored, what no rule names is blocked (0: allowed)."""

    name: str
    enabled: Found
    no_exceptions: Found
    blocks_by_default: Found


class Firewall(Struct, frozen=True, kw_only=True):
    """Windows' own firewall. `services` are the start types of those that it needs, `is_new` since Windows Vista.

    `rules` are those in force for the ports looked at; `rules_certain` is false where some could not be read.
    """

    source: str
    is_new: bool
    services: tuple[Found, ...]
    profiles: tuple[FirewallProfile, ...]
    rules: tuple[PortRule, ...] = ()
    rules_certain: bool = True


class ProfilePolicy(Struct, frozen=True, kw_only=True):
    """What group policy says of one profile: its `switches`, and which local rules are in force beside its own.

    `merges_rules` (0: no local rule) is heeded since Windows Vista, `merges_ports` (0: no local open port) is for the
    lists of Windows XP.
    """

    switches: FirewallProfile
    merges_rules: Found
    merges_ports: Found


class FirewallPolicy(Struct, frozen=True, kw_only=True):
    """What group policy says over it: profiles by name, and further rules. Without any profile it was not read."""

    profiles: dict[str, ProfilePolicy] = {}
    rules: tuple[PortRule, ...] = ()
    rules_certain: bool = True

    @property
    def is_read(self) -> bool:
        """Whether there was a hive that would tell of it."""
        return bool(self.profiles)


class ServiceStart(Struct, frozen=True, kw_only=True):
    """Whether a service is registered, and its `Start`. Not `registered` is certain where `start` is."""

    registered: bool
    start: Found


class ControlSetSettings(Struct, frozen=True, kw_only=True):
    """What one control set says of SMB, NetBIOS and the firewall.

    `replaces_driver` are pending renames that put another srv.sys into its place.
    """

    number: int
    role: ControlSetRole
    smb1: Found
    smb1_driver: ServiceStart
    smb1_client: ServiceStart
    workstation_depends_on: Found
    server: ServiceStart
    smb_device: Found
    transport_name: Found
    netbios: tuple[Found, ...]
    firewall: Firewall
    replaces_driver: tuple[str, ...] = ()


class UpdateState(StrEnum):
    """How far an update is in, as Component Based Servicing counts it."""

    ABSENT = "absent"
    PENDING = "pending"
    SUPERSEDED = "superseded"
    INSTALLED = "installed"


class Update(Struct, frozen=True, kw_only=True):
    """One update: `KB4012212`, or a rollup that is named by its version only."""

    name: str
    state: UpdateState
    source: str
    installed_utc: str | None = None
    version: Version | None = None


class SoftwareSettings(Struct, frozen=True, kw_only=True):
    """What SOFTWARE says. `updates` are those that matter, `newest_utc` is when any update was last touched.

    `version` is that of Windows; its revision is 0 where the hive does not tell it (before Windows 10).
    """

    version: Version | None
    updates: tuple[Update, ...]
    updates_source: str
    updates_certain: bool
    newest_utc: str | None
    restart_pending: Found
    dcom: Found
    dcom_protocols: Found
    firewall_policy: FirewallPolicy


class ExposureFacts(Struct, frozen=True, kw_only=True):
    """All that is known of one Windows; what is None or empty was not there to be looked at.

    `settings` has the current control set first, and the last known good where it is another. `is_stale`: the last
    changes to a hive were not written out.
    """

    volume: str | None
    windows: str
    driver: Driver | None = None
    settings: tuple[ControlSetSettings, ...] = ()
    software: SoftwareSettings | None = None
    is_stale: bool = False

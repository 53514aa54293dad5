r"""Settings of a computer or of one user that a program makes to be started again, or to be seen.

They stand in SOFTWARE and in each NTUSER.DAT alike: `Run` values ("Run and RunOnce Registry Keys", Microsoft), and the
key `WanaCrypt0r` in which the installer keeps its work directory (decompiled code). A 32-bit program on 64-bit Windows
finds them below `Wow6432Node`. Only a user has a wallpaper.
"""

from __future__ import annotations

from msgspec import Struct

from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.hive_value import HiveValue, ValueType
from triage.model.filetime import filetime_to_iso

_CURRENT_VERSION = r"Microsoft\Windows\CurrentVersion"
_RUN_KEYS = ("Run", "RunOnce", r"Policies\Explorer\Run")
_DESKTOP = r"Control Panel\Desktop"


class Setting(Struct, frozen=True, kw_only=True):
    """One value: `text` is what it says, `last_written` when its key was last changed, UTC ISO 8601."""

    key_path: str
    name: str
    text: str
    offset_bytes: int
    last_written: str | None


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of one hive; empty where it has none. `desktop` is what a user's desktop shows, in any value."""

    run_values: tuple[Setting, ...] = ()
    work_directories: tuple[Setting, ...] = ()
    desktop: tuple[Setting, ...] = ()


def read_settings(hive: Hive) -> Settings:
    """Read what SOFTWARE or a user's hive says, below its `Software` key and below `Wow6432Node`."""
    software = [key for key in (hive.root, hive.root.subkey("Software")) if key is not None]
    roots = [*software, *(node for key in software if (node := key.subkey("Wow6432Node")) is not None)]
    run_keys = [rf"{_CURRENT_VERSION}\{name}" for name in _RUN_KEYS]
    desktop = hive.key(_DESKTOP)
    return Settings(
        run_values=tuple(one for root in roots for path in run_keys for one in _values(root.descendant(path))),
        work_directories=tuple(one for root in roots for one in _values(root.subkey("WanaCrypt0r"))),
        desktop=tuple(_values(desktop)),
    )


def _values(key: HiveKey | None) -> list[Setting]:
    if key is None:
        return []
    return [
        Setting(
            key_path=key.path,
            name=value.name,
            text=_text(value),
            offset_bytes=key.offset_bytes,
            last_written=filetime_to_iso(key.last_written),
        )
        for value in key.values
    ]


def _text(value: HiveValue) -> str:
    """Return the text of a value; where a program wrote text as binary data, that."""
    if value.type in (ValueType.NONE, ValueType.BINARY):
        return value.data.split(b"\0")[0].decode("latin-1")
    return value.text or ""

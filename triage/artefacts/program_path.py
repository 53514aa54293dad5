r"""Where on a volume a program lies, however Windows or a person wrote its path: with a device, a variable, a detour.

A variable is a matter of the process that expands it. Those below have the same value on nearly every Windows
("Recognized environment variables", Microsoft); `TEMP` is that of a service, of a user's variables the user's name
stays open. Others stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_USER = "Users/%USERNAME%"
_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "systemroot": ("Windows",),
    "windir": ("Windows",),
    "comspec": ("Windows/System32/cmd.exe",),
    "systemdrive": ("",),
    "homedrive": ("",),
    "programdata": ("ProgramData",),
    "allusersprofile": ("ProgramData", "Documents and Settings/All Users"),  # the second until Windows XP
    "public": ("Users/Public",),
    "temp": ("Windows/Temp",),
    "tmp": ("Windows/Temp",),
    "programfiles": ("Program Files",),
    "programw6432": ("Program Files",),
    "programfiles(x86)": ("Program Files (x86)",),
    "commonprogramfiles": ("Program Files/Common Files",),
    "userprofile": (_USER,),
    "appdata": (f"{_USER}/AppData/Roaming",),
    "localappdata": (f"{_USER}/AppData/Local",),
}
_VARIABLE = re.compile(r"(?:%([^%\\/]+)%|\\(systemroot))(?=[\\/]|$)", re.IGNORECASE)
_ROOT = re.compile(
    r"(?:\\\\[?.]\\|\\\?\?\\)?"
    r"(?:[a-z]:|\\device\\mup\\[^\\]+\\[^\\]+|\\?device\\[^\\]+|harddiskvolume[0-9]+|\\?volume\{[^}\\]*\}"
    r"|sysvol|\\\\(?:localhost|127\.0\.0\.1)\\[a-z]\$)[\\/]",
    re.IGNORECASE | re.ASCII,
)
_IGNORED_AT_END = ". "  # of a file's name by Win32 ("Naming Files, Paths, and Namespaces", Microsoft)


def volume_path(path: str) -> str:
    r"""Return a path of Windows as from the volume's root: `\??\C:\Windows\.\x.exe` becomes `Windows/x.exe`."""
    return volume_paths(path)[0]


def volume_paths(path: str) -> tuple[str, ...]:
    """Return each place that a path may mean: with Windows Vista a variable got another value, which comes first."""
    variable = _VARIABLE.match(path)
    meanings = () if variable is None else _MEANINGS.get((variable[1] or variable[2]).lower(), ())
    if variable is not None and meanings:
        return tuple(_straight(f"{meaning}/{path[variable.end() :]}".lstrip("/")) for meaning in meanings)
    root = _ROOT.match(path)
    return (_straight(path if root is None else path[root.end() :]),)


def name_of(path: str) -> str:
    """Return a program's name in lower case."""
    return volume_path(path).rpartition("/")[2].lower()


def _straight(path: str) -> str:
    """Return a path with `/` and without detours; a share's keeps the two at its start."""
    slashed = path.replace("\\", "/")
    parts: list[str] = []
    for part in slashed.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    if parts:
        parts[-1] = parts[-1].rstrip(_IGNORED_AT_END)
    return ("//" if slashed.startswith("//") else "") + "/".join(parts)

"""Inert stand-ins: plain text in the place of the malware's programs and components, with digests of their own.

No inert file has a published digest, so the lab and the demonstration load these as a set under a name of its
own, in the columns of the built-in one. A run on evidence never does.
"""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from msgspec import Struct

FIRST_LINE = "inert stand-in of the triage lab"
LANGUAGES = (
    "bulgarian", "chinese (simplified)", "chinese (traditional)", "croatian", "czech", "danish", "dutch",
    "english", "filipino", "finnish", "french", "german", "greek", "indonesian", "italian", "japanese",
    "korean", "latvian", "norwegian", "polish", "portuguese", "romanian", "russian", "slovak", "spanish",
    "swedish", "turkish", "vietnamese",
)  # fmt: skip
_COLUMNS = ("md5", "sha1", "sha256", "size", "filename", "role", "variant", "source")
_SOURCE = "conf=high; written by the lab, holds no code"
_NOTE_HEAD = "Q:  What's wrong with my files?\r\n\r\nA:  This is a text of the triage lab. Nothing was lost here.\r\n"
_NOTE_TAIL = (
    "\r\nA:  Don't worry about decryption. The lab keeps the key.\r\nRun @WanaDecryptor@.exe: it is text too.\r\n"
)


class StandIn(Struct, frozen=True, kw_only=True):
    """One component: its published name, what it does, and text that tells it from the others."""

    name: str
    role: str
    lines: int = 40
    extra: str = ""

    @property
    def content(self) -> bytes:
        """Return the text: the first line says what it is, the last ones differ from stand-in to stand-in."""
        body = "".join(f"{number:04d} this line stands for nothing\r\n" for number in range(self.lines))
        tail = hashlib.sha256(self.name.encode()).hexdigest()
        return f"{FIRST_LINE}: {self.name}\r\n{body}{self.extra}{tail}\r\n".encode()


WORM = StandIn(name="mssecsvc.exe", role="worm and dropper", lines=400)
INSTALLER = StandIn(name="tasksche.exe", role="installer of the encryptor", lines=300)
PREVIOUS_INSTALLER = StandIn(name="qeriuwjhrf", role="earlier installer, moved aside", lines=290)
FILE_DELETER = StandIn(name="taskdl.exe", role="deletes temporary files")
SESSION_LAUNCHER = StandIn(name="taskse.exe", role="shows the window in every session")
WINDOW = StandIn(name="@WanaDecryptor@.exe", role="ransom window", lines=120)
SHORTCUT = StandIn(name="@WanaDecryptor@.exe.lnk", role="shortcut to the ransom window", lines=10)
WALLPAPER = StandIn(name="@WanaDecryptor@.bmp", role="wallpaper", lines=90)
CONFIGURATION = StandIn(
    name="c.wnry",
    role="configuration",
    lines=5,
    extra="57g7spgrzlojinas.onion;76jdd2ir2embyv47.onion;\r\ntor-win32-0.2.9.10.zip\0\r\n",
)
COMPONENTS = (
    StandIn(name="b.wnry", role="wallpaper, packed", lines=90),
    CONFIGURATION,
    StandIn(name="s.wnry", role="Tor archive", lines=60),
    StandIn(name="t.wnry", role="encryptor, encrypted", lines=70),
    StandIn(name="u.wnry", role="ransom window, packed", lines=120),
)
RANSOM_TEXTS = tuple(StandIn(name=f"m_{language}.wnry", role="ransom text", lines=8) for language in LANGUAGES)
STAND_INS = (
    WORM, INSTALLER, PREVIOUS_INSTALLER, FILE_DELETER, SESSION_LAUNCHER, WINDOW, SHORTCUT, WALLPAPER,
    *COMPONENTS, *RANSOM_TEXTS,
)  # fmt: skip


def ransom_note() -> bytes:
    """Return a note with the few lines by which rules know one; the rest says what it is."""
    return (_NOTE_HEAD + FIRST_LINE + _NOTE_TAIL).encode()


def indicator_csv() -> str:
    """Return the stand-ins' digests as an indicator set."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for stand_in in STAND_INS:
        content = stand_in.content
        digests = [hashlib.new(name, content).hexdigest() for name in _COLUMNS[:3]]
        writer.writerow([*digests, len(content), stand_in.name, stand_in.role, "inert", _SOURCE])
    return text.getvalue()


def write_indicators(path: Path) -> Path:
    """Write the set; the file's stem is the set's name."""
    path.write_text(indicator_csv(), encoding="utf-8")
    return path

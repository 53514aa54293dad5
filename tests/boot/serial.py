"""The serial line of an emulated PC: what comes out of it, and a shell at its other end."""

from __future__ import annotations

import base64
import gzip
import re
import socket
import time
from pathlib import Path

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|\][^\x07]*\x07|[=>])|\r")
_MARK = "TRIAGE-TEST"


class Serial:
    """Everything that was received is in `text`, without terminal control sequences; a copy goes to `log`."""

    def __init__(self, path: Path, log: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0.5)
        self._socket.connect(str(path))
        self._log = log.open("wb")
        self._raw = b""
        self._count = 0

    def close(self) -> None:
        """Close the line."""
        self._socket.close()
        self._log.close()

    @property
    def text(self) -> str:
        """What was received so far."""
        return _ESCAPES.sub("", self._raw.decode(errors="replace"))

    def expect(self, pattern: str, seconds: float, *, start: int = 0) -> re.Match[str]:
        """Wait until `pattern` is in the text from `start` on; TimeoutError, with the end of it, where it is not."""
        end = time.monotonic() + seconds
        while (found := re.compile(pattern, re.MULTILINE).search(self.text, start)) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"no {pattern!r} in {seconds:.0f} s; the last was:\n{self.text[-2000:]}")
            self._receive()
        return found

    def send(self, text: str) -> None:
        """Type text, slowly enough for a UART of 16 bytes."""
        data = text.encode()
        for position in range(0, len(data), 12):
            self._socket.sendall(data[position : position + 12])
            time.sleep(0.02)

    def run(self, command: str, seconds: float = 120) -> tuple[int, str]:
        """Run a command in the shell; return its exit code and what it printed on either stream."""
        self._count += 1
        start = len(self.text)
        mark = f"{_MARK}-{self._count}"
        # The quotes keep the typed line, which comes back as echo, from looking like the marks.
        self.send(f"echo '{mark}'-begin; {command} 2>&1; echo '{mark}'-end-$?\n")
        found = self.expect(rf"^{mark}-begin\n((?:.|\n)*?){mark}-end-(\d+)$", seconds, start=start)
        return int(found[2]), found[1]

    def upload(self, source: Path, target: str) -> None:
        """Copy a file into the running system."""
        lines = base64.encodebytes(gzip.compress(source.read_bytes(), mtime=0)).decode()
        assert self.run(f"base64 -d <<END | gunzip >{target}\n{lines}END\ntrue")[0] == 0

    def _receive(self) -> None:
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return
        if not data:
            time.sleep(0.2)
        self._raw += data
        self._log.write(data)
        self._log.flush()

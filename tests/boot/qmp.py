"""Talks to an emulated PC from outside: keys, screenshots, disks plugged in, the end."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 60


class Qmp:
    """One connection to QEMU's machine protocol (docs/interop/qmp-spec)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()
        self.execute("qmp_capabilities")

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Run a command and return its answer; RuntimeError where QEMU refuses."""
        request = {"execute": command, "arguments": dict(arguments or {})}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while line := self._lines.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise RuntimeError(f"{command}: QEMU is gone")

    def press(self, *keys: str) -> None:
        """Press and release keys one after another, by QEMU's names (`down`, `ret`)."""
        for key in keys:
            self.execute("send-key", {"keys": [{"type": "qcode", "data": key}], "hold-time": 100})

    def type(self, text: str) -> None:
        """Type small letters and press Enter."""
        self.press(*text, "ret")

    def screenshot(self, path: Path) -> Path:
        """Save what the screen shows as PNG."""
        self.execute("screendump", {"filename": str(path), "format": "png"})
        return path

    def plug_usb_disk(self, image: Path, serial: str) -> None:
        """Plug a disk with this serial number into the USB controller."""
        node = {"driver": "raw", "node-name": "plugged", "file": {"driver": "file", "filename": str(image)}}
        self.execute("blockdev-add", node)
        device = {"driver": "usb-storage", "bus": "usb.0", "drive": "plugged", "id": "plug", "serial": serial}
        self.execute("device_add", device)

"""What the boot menu told the kernel: the words of its command line."""

from __future__ import annotations

from pathlib import Path

_CMDLINE = Path("/proc/cmdline")


def boot_option(name: str) -> str | None:
    """Return the value of `name=value` on the kernel's command line, the last one where it stands there twice."""
    values = [word.partition("=")[2] for word in _CMDLINE.read_text().split() if word.startswith(f"{name}=")]
    return values[-1] if values else None

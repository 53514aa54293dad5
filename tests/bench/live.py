"""Power-on to ready of the live stick and of a plain Debian live system of the same making, in the same emulated PC."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.boot.machine import Pc, machine
from tests.boot.stick import LIVE_USB, STICK_BYTES, build_image, write_stick

PLAIN_RECIPE = Path(__file__).with_name("plain-live")
_MENU = {True: "Plain live system", False: "Examine this PC"}
_READY = {True: "debian login: ", False: "To end: poweroff"}
_SECONDS = 900


class LiveBench:
    """Both images, built once; a boot begins with the power and ends where a person can type."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images = {plain: folder / ("plain" if plain else "stick") for plain in _MENU}
        for plain, built in self._images.items():
            built.mkdir(exist_ok=True)
            self._images[plain] = build_image(built, PLAIN_RECIPE if plain else LIVE_USB)

    @property
    def image_bytes(self) -> int:
        """The size of the stick's image."""
        return self._images[False].stat().st_size

    def seconds(self, *, plain: bool) -> float:
        """Boot once from a fresh stick; the first boot of ours makes the data partition anew."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            stick = write_stick(self._images[plain], folder / "stick.img", STICK_BYTES)
            started = time.perf_counter()
            with machine(folder, Pc(), stick, {}) as pc:
                pc.serial.expect(_MENU[plain], _SECONDS)
                pc.qmp.press("ret")
                pc.serial.expect(_READY[plain], _SECONDS)
                return time.perf_counter() - started

"""The NTFS boot sector: geometry of volumes made by mkntfs, told the same by ntfsinfo; arbitrary bytes."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import needs_tool
from triage.model.errors import ParseError
from triage.volumes.boot_sector import parse_boot_sector


@needs_tool("mkntfs", "ntfsinfo")
@pytest.mark.parametrize(
    ("sector_bytes", "cluster_bytes"), [(512, 512), (512, 4096), (512, 65536), (4096, 4096), (512, 2 << 20)]
)
def test_geometry_is_what_ntfsinfo_says(tmp_path: Path, sector_bytes: int, cluster_bytes: int) -> None:
    image = tmp_path / "volume.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    command = ["mkntfs", "-F", "-q", "-Q", "-s", str(sector_bytes), "-c", str(cluster_bytes), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    geometry = parse_boot_sector(image.read_bytes()[:512])
    told = subprocess.run(["ntfsinfo", "-m", str(image)], check=True, capture_output=True, text=True).stdout

    def fact(name: str) -> int:
        match = re.search(rf"{name}: *(\d+)", told)
        assert match is not None, told
        return int(match[1])

    assert geometry.sector_bytes == fact("Sector Size")
    assert geometry.cluster_bytes == fact("Cluster Size")
    assert geometry.record_bytes == fact("MFT Record Size")
    assert geometry.mft_cluster == fact("LCN of Data Attribute for FILE_MFT")


@given(st.binary(min_size=512, max_size=512))
def test_arbitrary_sectors_are_refused_or_plausible(sector: bytes) -> None:
    dressed = b"\xeb\x52\x90NTFS    " + sector[11:510] + b"\x55\xaa"
    try:
        geometry = parse_boot_sector(dressed)
    except ParseError:
        return
    assert geometry.sector_bytes <= geometry.cluster_bytes <= 2 << 20
    assert 512 <= geometry.record_bytes <= 65536
    assert 0 < geometry.mft_cluster * geometry.cluster_bytes < geometry.volume_bytes < 1 << 63


@pytest.mark.parametrize("sectors", [1 << 54, 1 << 63, (1 << 64) - 1])
def test_a_length_that_no_volume_has_is_refused(sectors: int) -> None:
    """A sector of 512 bytes, clusters of 8, `$MFT` at cluster 4."""
    start = b"\xeb\x52\x90NTFS    " + struct.pack("<HB26xQQQb3xb3xQ", 512, 8, sectors, 4, 2, -10, 1, 0)
    sector = start.ljust(510, b"\0") + b"\x55\xaa"
    with pytest.raises(ParseError, match=f"{sectors} sectors"):
        parse_boot_sector(sector)


@pytest.mark.parametrize("sector", [b"", bytes(511), bytes(512), b"\xeb\x52\x90NTFS    " + bytes(501)])
def test_what_is_no_boot_sector_is_a_parse_error(sector: bytes) -> None:
    with pytest.raises(ParseError):
        parse_boot_sector(sector)

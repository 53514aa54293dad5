"""`live-usb/write-stick`: what it refuses, and that what it writes is there; on loop devices."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.command import REPOSITORY
from tests.loops import loop_device, mounted, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.sticks import IMAGE_BYTES, MIB, TOOLS, make_stick

pytestmark = [needs_root(), needs_device("/dev/loop-control"), needs_tool(*TOOLS, "mkfs.ext4")]
SCRIPT = REPOSITORY / "live-usb" / "write-stick"
DISK_BYTES = 64 * MIB
FIXED, LOSE = "--fixed-disk", "--overwrite-data"
LOOP_IS_FIXED = "is not removable; if it is the stick all the same: --fixed-disk"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_stick(tmp_path_factory.mktemp("image") / "live.img", IMAGE_BYTES)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return sparse(tmp_path / "disk.img", DISK_BYTES)


@pytest.fixture
def node(disk: Path) -> Iterator[Path]:
    with loop_device(disk) as device:
        yield device


@pytest.fixture
def script() -> ModuleType:
    """The script as a module, for what cannot be made to happen outside."""
    loader = importlib.machinery.SourceFileLoader("write_stick", str(SCRIPT))
    spec = importlib.util.spec_from_loader("write_stick", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def write_stick(
    *arguments: str | Path, script: Path = SCRIPT, language: str = "en"
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": language}
    command = (sys.executable, script, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def refusal(*arguments: str | Path) -> str:
    done = write_stick(*arguments)
    assert done.returncode == 1, done
    assert done.stderr.startswith("write-stick: "), done
    assert done.stderr.count("\n") == 1, done
    return done.stderr


def test_stick_is_the_image_with_a_signature_of_its_own(image: Path, node: Path, disk: Path) -> None:
    done = write_stick(node, image, FIXED)
    assert done.returncode == 0, done
    original, first = image.read_bytes(), disk.read_bytes()
    assert first[:440] + original[440:444] + first[444 : len(original)] == original
    signature = first[443:439:-1].hex()
    assert signature in done.stdout
    assert f"label-id: 0x{signature}" in run("sfdisk", "-d", disk)
    assert write_stick(node, image, FIXED, LOSE).returncode == 0
    assert len({disk.read_bytes()[440:444], first[440:444], original[440:444]}) == 3


def test_what_a_former_table_left_at_the_end_is_cleared(image: Path, node: Path, disk: Path) -> None:
    run("sh", "-c", f"echo 'start=2048' | sfdisk -q --label gpt {disk}")
    assert b"EFI PART" in disk.read_bytes()[-512:]
    assert "holds data" in refusal(node, image, FIXED)
    assert write_stick(node, image, FIXED, LOSE).returncode == 0
    assert b"EFI PART" not in disk.read_bytes()


def test_disk_that_is_not_removable_is_refused(image: Path, node: Path, disk: Path) -> None:
    assert LOOP_IS_FIXED in refusal(node, image, LOSE)
    assert disk.read_bytes() == bytes(DISK_BYTES)


def test_removable_is_what_sysfs_says(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "SYS_CLASS_BLOCK", tmp_path)
    (tmp_path / "sdb").mkdir()
    (tmp_path / "sdb" / "size").write_text("15728640\n")
    for answer, refused in (("1\n", False), ("0\n", True), ("", True)):
        (tmp_path / "sdb" / "removable").write_text(answer)
        if refused:
            with pytest.raises(script.RefusedError, match="not removable"):
                script.refuse_if_fixed(Path("/dev/sdb"), "sdb")
        else:
            script.refuse_if_fixed(Path("/dev/sdb"), "sdb")


def test_disk_with_partitions_is_refused(image: Path, tmp_path: Path) -> None:
    used = make_stick(tmp_path / "used.img", DISK_BYTES)
    before = used.read_bytes()
    with loop_device(used) as node:
        assert f"holds partitions ({node.name}p1, {node.name}p2)" in refusal(node, image, FIXED)
        assert "is a partition; give the whole disk" in refusal(f"{node}p1", image, FIXED, LOSE)
    assert used.read_bytes() == before


@pytest.mark.parametrize("offset", [0, MIB - 1, DISK_BYTES - MIB, DISK_BYTES - 1])
def test_a_single_byte_at_either_end_is_data(image: Path, node: Path, disk: Path, offset: int) -> None:
    with node.open("r+b", buffering=0) as device:
        device.seek(offset - offset % 512)
        device.write(bytes(offset % 512) + b"x" + bytes(511 - offset % 512))
    assert "holds data; to lose that for ever: --overwrite-data" in refusal(node, image, FIXED)


def test_mounted_disk_is_refused_whatever_is_asked(image: Path, tmp_path: Path) -> None:
    bare = sparse(tmp_path / "bare.img", DISK_BYTES)
    run("mkfs.ext4", "-q", "-F", bare)
    with loop_device(bare) as node, mounted(node, tmp_path / "bare"):
        assert "is in use" in refusal(node, image, FIXED, LOSE)
    used = sparse(tmp_path / "used.img", DISK_BYTES)
    run("sh", "-c", f"echo 'start=2048, size=40960' | sfdisk -q {used}")
    with loop_device(used) as node:
        run("mkfs.ext4", "-q", "-F", f"{node}p1")
        with mounted(Path(f"{node}p1"), tmp_path / "used"):
            assert "is in use" in refusal(node, image, FIXED, LOSE)


def test_image_is_by_default_the_one_that_the_build_makes(script: ModuleType) -> None:
    """As the instructions say it, in either language, from the top of the checkout."""
    top = SCRIPT.parent.parent
    default = script.DEFAULT_IMAGE.relative_to(top)
    for guide in ("live-usb.md", "live-usb.zh.md"):
        text = (top / "docs" / guide).read_text()
        assert "\nlive-usb/build live-image\n" in text
        assert f"`{default}`" in text


def test_what_is_no_disk_is_refused(image: Path, disk: Path, tmp_path: Path) -> None:
    assert "is not a disk" in refusal(disk, image, FIXED, LOSE)
    assert "is not a disk" in refusal("/dev/null", image, FIXED, LOSE)
    assert "does not exist" in refusal(tmp_path / "none", image, FIXED, LOSE)


def test_it_speaks_chinese_beside_the_catalogue_and_english_alone(tmp_path: Path) -> None:
    assert write_stick("/dev/null", language="zh_CN").stderr == "write-stick: /dev/null 不是磁盘；lsblk 可列出磁盘\n"
    alone = shutil.copy(SCRIPT, tmp_path)
    assert "is not a disk" in write_stick("/dev/null", script=Path(alone), language="zh_CN").stderr


def test_image_that_does_not_fit_is_missing_or_spoilt(image: Path, node: Path, disk: Path, tmp_path: Path) -> None:
    assert "does not fit" in refusal(node, sparse(tmp_path / "large.img", DISK_BYTES + 512), FIXED)
    assert "does not fit" in refusal(node, sparse(tmp_path / "empty.img", 0), FIXED)
    assert "No such file" in refusal(node, tmp_path / "none.img", FIXED)
    spoilt = tmp_path / "spoilt.img"
    spoilt.write_bytes(image.read_bytes()[:-1] + b"x")
    sums = tmp_path / "spoilt.img.sha256"
    sums.write_text(run("sha256sum", image))
    assert "is not what spoilt.img.sha256 says" in refusal(node, spoilt, FIXED)
    assert disk.read_bytes() == bytes(DISK_BYTES)
    sums.write_text(run("sha256sum", spoilt))
    assert write_stick(node, spoilt, FIXED).returncode == 0


def test_stick_that_does_not_keep_what_it_was_given(
    script: ModuleType, image: Path, node: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = script.forget_cache

    def forget_and_spoil(target: object) -> None:
        forget(target)
        with disk.open("r+b") as file:
            file.seek(MIB)
            file.write(b"not what was written")

    monkeypatch.setattr(script, "forget_cache", forget_and_spoil)
    with pytest.raises(script.RefusedError, match="does not give back what was written"):
        script.write(node, node.name, image, overwrite=False)

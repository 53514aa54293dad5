"""Writes a block past the block layer of an NVMe disk: `nvme_pass_through.py NODE r|rw io|admin|uring`.

Ends with 0 where the disk did it. Runs inside the live system. `io` and `uring` write to block 0x22; `admin` saves a
feature in the controller (the volatile write cache, on as it is), which changes no block but is a write all the same.

Sources: <linux/nvme_ioctl.h>; <linux/io_uring.h>; NVM Express Base Specification 2.0, 5.27 Set Features; NVM Command
Set Specification 1.0, 3.2.8 Write.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import sys

IOCTL_ADMIN, IOCTL_IO, URING_IO = 0xC0484E41, 0xC0484E43, 0xC0484E80
WRITE, SET_FEATURES = 0x01, 0x09
WRITE_CACHE = 0x06
BLOCK, BLOCK_BYTES = 0x22, 512
IO_URING_SETUP, IO_URING_ENTER = 425, 426
SQE128, CQE32, GET_EVENTS = 1 << 10, 1 << 11, 1
URING_CMD = 46
SQ_RING, SQES = 0, 0x10000000
libc = ctypes.CDLL(None, use_errno=True)


class Command(ctypes.Structure):
    """`nvme_passthru_cmd` and `nvme_uring_cmd`, which differ in their last word: result or nothing."""

    _fields_ = [
        ("opcode", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("rsvd1", ctypes.c_uint16),
        ("nsid", ctypes.c_uint32),
        ("cdw2", ctypes.c_uint32),
        ("cdw3", ctypes.c_uint32),
        ("metadata", ctypes.c_uint64),
        ("addr", ctypes.c_uint64),
        ("metadata_len", ctypes.c_uint32),
        ("data_len", ctypes.c_uint32),
        ("cdw10", ctypes.c_uint32),
        ("cdw11", ctypes.c_uint32),
        ("cdw12", ctypes.c_uint32),
        ("cdw13", ctypes.c_uint32),
        ("cdw14", ctypes.c_uint32),
        ("cdw15", ctypes.c_uint32),
        ("timeout_ms", ctypes.c_uint32),
        ("result", ctypes.c_uint32),
    ]


def main(node: str, mode: str, kind: str) -> int:
    """Send the command; return the disk's status, or an error number of the kernel below zero."""
    descriptor = os.open(node, os.O_RDWR if mode == "rw" else os.O_RDONLY)
    data = mmap.mmap(-1, mmap.PAGESIZE)
    data.write(b"X" * BLOCK_BYTES)
    if kind == "admin":
        command = Command(opcode=SET_FEATURES, cdw10=WRITE_CACHE, cdw11=1)
        return int(fcntl.ioctl(descriptor, IOCTL_ADMIN, command))
    address = ctypes.addressof(ctypes.c_char.from_buffer(data))
    command = Command(opcode=WRITE, nsid=1, addr=address, data_len=BLOCK_BYTES, cdw10=BLOCK)
    if kind == "io":
        return int(fcntl.ioctl(descriptor, IOCTL_IO, command))
    return uring(descriptor, command)


def uring(descriptor: int, command: Command) -> int:
    """Send an I/O command through io_uring, which needs no ioctl."""
    parameters = bytearray(120)
    struct.pack_into("<I", parameters, 8, SQE128 | CQE32)
    ring = check(libc.syscall(IO_URING_SETUP, 1, (ctypes.c_char * 120).from_buffer(parameters)))
    sq_array, cq_tail, cqes = (struct.unpack_from("<I", parameters, at)[0] for at in (40 + 24, 80 + 4, 80 + 20))
    rings = mmap.mmap(ring, max(cqes + 2 * 32, sq_array + 4), flags=mmap.MAP_SHARED, offset=SQ_RING)
    entries = mmap.mmap(ring, 128, flags=mmap.MAP_SHARED, offset=SQES)
    struct.pack_into("<BxxxiI", entries, 0, URING_CMD, descriptor, URING_IO)
    entries[48 : 48 + ctypes.sizeof(command)] = bytes(command)
    struct.pack_into("<I", rings, sq_array, 0)
    struct.pack_into("<I", rings, struct.unpack_from("<I", parameters, 40 + 4)[0], 1)
    check(libc.syscall(IO_URING_ENTER, ring, 1, 1, GET_EVENTS, 0, 0))
    if struct.unpack_from("<I", rings, cq_tail)[0] == 0:
        raise OSError("nothing was completed")
    return int(struct.unpack_from("<i", rings, cqes + 8)[0])


def check(result: int) -> int:
    """Return what a system call returned; `OSError` where it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    sys.exit(abs(main(*sys.argv[1:])) % 256)

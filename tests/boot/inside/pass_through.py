"""Writes a sector past the block layer: `pass_through.py NODE r|rw scsi|ata`. Ends with 0 where it went through.

Runs inside the live system. Sources: <scsi/sg.h>; SBC-3 5.34 WRITE (10); SAT-3 12.2 ATA PASS-THROUGH (16).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys

SG_IO = 0x2285
TO_DEVICE = -2
COMMANDS = {
    "scsi": bytes.fromhex("2a 00 00 00 00 22 00 00 01 00"),
    "ata": bytes.fromhex("85 0b 06 00 00 00 01 00 22 00 00 00 00 40 34 00"),
}


class Header(ctypes.Structure):
    """`sg_io_hdr`."""

    _fields_ = [
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    ]


def main(node: str, mode: str, kind: str) -> int:
    """Send the command; return whether the disk refused it."""
    command = COMMANDS[kind]
    buffers = [ctypes.create_string_buffer(data, len(data)) for data in (b"X" * 512, command, bytes(32))]
    data, cdb, sense = map(ctypes.addressof, buffers)
    header = Header(ord("S"), TO_DEVICE, len(command), 32, 0, 512, data, cdb, sense, 10000)
    descriptor = os.open(node, os.O_RDWR if mode == "rw" else os.O_RDONLY)
    fcntl.ioctl(descriptor, SG_IO, header)
    return int(header.status or header.host_status or header.driver_status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

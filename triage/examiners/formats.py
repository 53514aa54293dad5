"""Simple structure of binary formats: end marks and length fields that truncation or overwriting breaks.

Each function takes a `Content` and says whether it fits. None trusts a field: every offset is checked against
the bytes at hand, and a field that lies outside them is no reason to doubt the file. A tail of None (the end
was not read) is never held against a file either.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

OLE2_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK")
_ZIP_END = struct.Struct("<4s4H2LH")
_ZIP64 = 0xFFFFFFFF
_PDF_END_BYTES = 2048
_MAX_BOXES = 64
_DBASE_VERSIONS = bytes.fromhex("0203040530313243637b838b8ecbe5f5fb")


class Content(NamedTuple):
    """A file as far as it is kept: its first and last bytes (they may overlap) and its full length."""

    head: bytes
    tail: bytes | None
    size_bytes: int


def _field(data: bytes, form: str, offset_bytes: int) -> int | None:
    """Return one integer of `struct` form `form`, or None where `data` ends before it."""
    end = offset_bytes + struct.calcsize(form)
    return int(struct.unpack_from(form, data, offset_bytes)[0]) if end <= len(data) else None


def _reaches(content: Content, length_bytes: int | None) -> bool:
    """True where the file is as long as a field of its own says, or the field is out of sight."""
    return length_bytes is None or length_bytes <= content.size_bytes


def ole2(content: Content) -> bool:
    """Compound file ([MS-CFB] 2.2): header constants; the sectors that the header names lie in the file."""
    head = content.head
    if not head.startswith(OLE2_MAGIC) or len(head) < 512:
        return False
    byte_order, sector_shift, mini_shift = struct.unpack_from("<3H", head, 28)
    if byte_order != 0xFFFE or sector_shift not in (9, 12) or mini_shift != 6:
        return False
    directory = struct.unpack_from("<L", head, 48)[0]
    named = [sector for sector in struct.unpack_from("<109L", head, 76) if sector < 0xFFFFFFFA]
    # Sector 0 follows the header; the last sector may be written short, but it has to begin.
    return all((sector + 1) << sector_shift < content.size_bytes for sector in (directory, *named))


def zip_archive(content: Content) -> bool:
    """ZIP (APPNOTE 4.3): local header in front, an end record whose central directory fits before it."""
    if not content.head.startswith(_ZIP_MAGICS):
        return False
    if content.tail is None:
        return True
    at = content.tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _ZIP_END.size > len(content.tail):
        return False
    *_, directory_bytes, directory_at, comment_bytes = _ZIP_END.unpack_from(content.tail, at)
    if at + _ZIP_END.size + comment_bytes > len(content.tail):
        return False
    end_record_at = content.size_bytes - len(content.tail) + at
    return _ZIP64 in (directory_bytes, directory_at) or directory_at + directory_bytes <= end_record_at


def pdf(content: Content) -> bool:
    """PDF (ISO 32000-1, 7.5): header within the first 1024 bytes, end of file mark near the end."""
    if b"%PDF-" not in content.head[:1024]:
        return False
    return content.tail is None or any(mark in content.tail[-_PDF_END_BYTES:] for mark in (b"%%EOF", b"startxref"))


def rtf(content: Content) -> bool:
    """RTF: the outermost group is closed."""
    if not content.head.lstrip().startswith(b"{\\rt"):
        return False
    return content.tail is None or content.tail.rstrip(b"\0\r\n\t \x1a").endswith(b"}")


def jpeg(content: Content) -> bool:
    """JPEG (T.81): an end of image after the last start of scan; whatever cameras append may follow."""
    if not content.head.startswith(b"\xff\xd8\xff"):
        return False
    tail = content.tail
    return tail is None or tail.rfind(b"\xff\xd9") > tail.rfind(b"\xff\xda")


def png(content: Content) -> bool:
    """PNG (ISO 15948): signature, IHDR first, IEND with its checksum."""
    if not content.head.startswith(b"\x89PNG\r\n\x1a\n") or content.head[12:16] != b"IHDR":
        return False
    return content.tail is None or b"IEND\xaeB`\x82" in content.tail


def gif(content: Content) -> bool:
    """GIF 87a, 89a: the trailer byte closes the file."""
    if not content.head.startswith((b"GIF87a", b"GIF89a")):
        return False
    return content.tail is None or content.tail.rstrip(b"\0").endswith(b";")


def bmp(content: Content) -> bool:
    """BMP ([MS-WMF] 2.2.2): sizes of file and headers, start of the pixels."""
    head = content.head
    if not head.startswith(b"BM") or len(head) < 26:
        return False
    file_bytes, _, pixels_at, header_bytes = struct.unpack_from("<4L", head, 2)
    return header_bytes in (12, 40, 52, 56, 64, 108, 124) and max(file_bytes, pixels_at) <= content.size_bytes


def tiff(content: Content) -> bool:
    """TIFF 6.0 and BigTIFF, raw photographs built on them too: the first directory lies inside the file."""
    head = content.head
    if head.startswith((b"II*\0", b"MM\0*")):
        first_directory = _field(head, "<L" if head.startswith(b"II") else ">L", 4)
        return first_directory is not None and 8 <= first_directory < content.size_bytes
    return head.startswith((b"II+\0", b"MM\0+"))


def riff(content: Content) -> bool:
    """RIFF (AVI, WAV): the first chunk is as long as it says; 0 and all ones mean "not known"."""
    declared = _field(content.head, "<L", 4)
    if not content.head.startswith((b"RIFF", b"RF64")) or declared is None:
        return False
    return declared in (0, _ZIP64) or declared <= content.size_bytes


def iso_media(content: Content) -> bool:
    """MP4, MOV, 3GP (ISO 14496-12): the chain of boxes, as far as the head shows it, stays in the file."""
    if content.head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot"):
        return False
    at = 0
    for _ in range(_MAX_BOXES):
        box_bytes = _field(content.head, ">L", at)
        if box_bytes == 1:
            box_bytes = _field(content.head, ">Q", at + 8)
        if box_bytes is None or box_bytes == 0:
            return True
        at += box_bytes
        if box_bytes < 8 or at > content.size_bytes:
            return False
    return True


def seven_zip(content: Content) -> bool:
    """7z (7zFormat.txt): the end header, which the start header points to, lies inside the file."""
    if not content.head.startswith(b"7z\xbc\xaf\x27\x1c") or len(content.head) < 32:
        return False
    next_at, next_bytes = struct.unpack_from("<2Q", content.head, 12)
    return _reaches(content, 32 + next_at + next_bytes)


def outlook_store(content: Content) -> bool:
    """PST and OST ([MS-PST] 2.2.2.6): magic, client magic, and the length that the root structure holds."""
    head = content.head
    if not head.startswith(b"!BDN") or head[8:10] not in (b"SM", b"SO"):
        return False
    version = _field(head, "<H", 10)
    is_ansi = version is not None and version < 16
    return _reaches(content, _field(head, "<L", 0xA8) if is_ansi else _field(head, "<Q", 0xB8))


def sqlite(content: Content) -> bool:
    """SQLite 3 (fileformat.html 1.3): page size times page count, where the count is valid, fits the file."""
    head = content.head
    if not head.startswith(b"SQLite format 3\0") or len(head) < 100:
        return False
    page_bytes = struct.unpack_from(">H", head, 16)[0]
    change_counter, pages = struct.unpack_from(">2L", head, 24)
    if struct.unpack_from(">L", head, 92)[0] != change_counter:
        return True  # the count is valid only where it was written with this change
    return _reaches(content, (65536 if page_bytes == 1 else page_bytes) * pages)


def dbase(content: Content) -> bool:
    """DBF: header and record lengths times the number of records fit the file."""
    if len(content.head) < 32 or content.head[0] not in _DBASE_VERSIONS:
        return False
    records, header_bytes, record_bytes = struct.unpack_from("<LHH", content.head, 4)
    if header_bytes < 32 or record_bytes < 1:
        return False
    return _reaches(content, header_bytes + records * record_bytes)


def tar(content: Content) -> bool:
    """Tar (POSIX ustar and before): the first header's checksum is right."""
    header = content.head[:512]
    digits = header[148:156].strip(b" \0")
    if len(header) < 512 or not digits.isdigit() or any(digit > ord("7") for digit in digits):
        return False
    return int(digits, 8) == sum(header) - sum(header[148:156]) + 8 * ord(" ")


def der(content: Content) -> bool:
    """DER (X.690): one outer SEQUENCE as long as the file; BER's indefinite length is accepted."""
    head = content.head
    if len(head) < 2 or head[0] != 0x30:
        return False
    length_of_length = head[1] & 0x7F if head[1] & 0x80 else 0
    if head[1] == 0x80:
        return True
    length = int.from_bytes(head[2 : 2 + length_of_length], "big") if length_of_length else head[1]
    return length_of_length <= 8 and 2 + length_of_length + length <= content.size_bytes

"""Users' documents with the structure that their programs write: small, and the same for the same seed."""

from __future__ import annotations

import io
import struct
import zipfile
from random import Random

_PROSE = (
    "the budget of the second quarter was discussed with the workshop and the supplier agreed to deliver "
    "eleven spare parts before the end of May while the old invoices stay with the accounting office"
)
_CHINESE = "关于二零一七年五月的工作安排请各部门在周五之前把材料交到办公室并且检查电脑补丁是否已经安装"
_SECTOR_BYTES = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def prose(random: Random, *, words: int = 120) -> str:
    """Return sentences of English words."""
    vocabulary = _PROSE.split()
    return " ".join(random.choice(vocabulary) for _ in range(words)).capitalize() + "."


def chinese(random: Random, *, characters: int = 200) -> str:
    """Return Chinese text, all of it within GBK."""
    return "".join(random.choice(_CHINESE) for _ in range(characters)) + "。"


def docx(random: Random) -> bytes:
    """Return a Word document (ECMA-376): a zip of XML parts."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    paragraphs = "".join(f"<w:p><w:r><w:t>{prose(random)}</w:t></w:r></w:p>" for _ in range(6))
    body = f'<w:document xmlns:w="{space}"><w:body>{paragraphs}</w:body></w:document>'
    return _office_zip("word/document.xml", kind, body)


def xlsx(random: Random) -> bytes:
    """Return a spreadsheet (ECMA-376) of random figures."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rows = "".join(
        f'<row r="{row}">' + "".join(f"<c><v>{random.randrange(10**6)}</v></c>" for _ in range(5)) + "</row>"
        for row in range(1, 31)
    )
    sheet = f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'
    book = f'<workbook xmlns="{space}"><sheets><sheet name="1" sheetId="1"/></sheets></workbook>'
    return _office_zip("xl/workbook.xml", kind, book, ("xl/worksheets/sheet1.xml", sheet))


def pdf(random: Random) -> bytes:
    """Return a PDF of one page with its cross-reference table (ISO 32000-1, 7.5)."""
    lines = " ".join(f"({prose(random, words=9)}) Tj T*" for _ in range(30))
    page = f"BT /F1 11 Tf 14 TL 50 800 Td {lines} ET"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        f"<< /Length {len(page)} >>\nstream\n{page}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Font << /F1 5 0 R >> >>",
    )
    text, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    start = len(text)
    text += f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\n"
    return (text + f"startxref\n{start}\n%%EOF\n").encode("ascii")


def doc(random: Random) -> bytes:
    """Return an OLE2 file with a `WordDocument` stream ([MS-CFB]): header, FAT, directory, content."""
    stream = (b"\xec\xa5\xc1\0" + prose(random, words=900).encode("utf-16-le")).ljust(4096, b"\0")
    stream += bytes(-len(stream) % _SECTOR_BYTES)
    sectors = len(stream) // _SECTOR_BYTES
    fat = [_FAT, _END, *range(3, 2 + sectors), _END]  # sector 0 the FAT, 1 the directory, from 2 the stream
    fat += [_FREE] * (_SECTOR_BYTES // 4 - len(fat))
    header = struct.pack("<8s16xHHHHH6x", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0, 0)
    header += struct.pack("<108I", *[_FREE] * 108)
    directory = _cfb_entry("Root Entry", 5, child=1, start=_END, size=0)
    directory += _cfb_entry("WordDocument", 2, child=_FREE, start=2, size=len(stream))
    directory += _cfb_entry("", 0, child=_FREE, start=0, size=0) * 2
    return header + struct.pack(f"<{len(fat)}I", *fat) + directory + stream


def table(random: Random, *, size_bytes: int) -> bytes:
    """Return a CSV of that size: large, and small once it is packed."""
    line = f"{random.randrange(10**8):08d},part,box,2017-05-12,paid\r\n".encode()
    return (line * (size_bytes // len(line) + 1))[:size_bytes]


def _cfb_entry(name: str, kind: int, *, child: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le")
    length = len(encoded) + 2 if name else 0
    entry = encoded.ljust(64, b"\0") + struct.pack("<HBB", length, kind, 1)
    return entry + struct.pack("<III36xIQ", _FREE, _FREE, child, start, size)


def _office_zip(part: str, kind: str, body: str, *others: tuple[str, str]) -> bytes:
    """Return a package whose main part is `part`; without times, so that the bytes are the same each time."""
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/{part}" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{relations}">'
        f'<Relationship Id="r1" Type="{office}" Target="{part}"/></Relationships>',
        part: body,
        **dict(others),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), text, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()

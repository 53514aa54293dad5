"""Tells whether content is what the extension says, so that an overwritten document does not pass as good.

Judged from the first and the last bytes, up to 64 KiB: signatures in front, end marks and length fields that
a truncated or overwritten file no longer satisfies. The types are those the malware goes for; each has its
place in `_TABLE`, or in `WITHOUT_CHECK` where nothing common to all its files can be checked. A type has the
benefit of the doubt: an old Word file may be OLE2, RTF, ZIP or text whatever its extension, a new one with a
password is OLE2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from triage.examiners import formats
from triage.examiners.formats import Content
from triage.examiners.plain_text import is_text

TypeCheck = Callable[[Content], bool]

_MIN_ZEROS_BYTES = 512


def _starts(*magics: bytes, at: int = 0) -> TypeCheck:
    return lambda content: content.head.startswith(magics, at)


def _any(*checks: TypeCheck) -> TypeCheck:
    return lambda content: any(check(content) for check in checks)


def _all(*checks: TypeCheck) -> TypeCheck:
    return lambda content: all(check(content) for check in checks)


def _text(content: Content) -> bool:
    return is_text(content.head, content.tail)


_MP3 = _starts(b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2", b"RIFF")
_ASF = _starts(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))
_TRANSPORT_STREAM = _all(_starts(b"G"), _starts(b"G", at=188))
_MPEG = _any(_starts(b"\0\0\1\xba", b"\0\0\1\xb3"), _TRANSPORT_STREAM)
_RAR = _starts(b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00")
_BIFF = _starts(b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
_JET = _starts(b"Standard Jet DB", b"Standard ACE DB", at=4)
_OFFICE = _any(formats.ole2, formats.zip_archive)
_OLD_OFFICE = _any(formats.ole2, formats.zip_archive, formats.rtf, _text)

_TABLE: tuple[tuple[str, TypeCheck], ...] = (
    ("docx docm dotx dotm vsdx xlsx xlsm xltx xltm xlsb", _OFFICE),
    ("pptx pptm potx potm ppsx ppsm ppam sldx sldm", _OFFICE),
    ("doc docb dot", _any(_OLD_OFFICE, _starts(b"\xdb\xa5", b"\x31\xbe"))),
    ("xls xlt xlm xlc xlw", _any(_OLD_OFFICE, _BIFF)),
    ("ppt pot pps msg snt vsd suo max", _any(formats.ole2, formats.zip_archive)),
    ("hwp", _any(formats.ole2, _starts(b"HWP Document File"))),
    ("odt ott odp otp ods ots odg otg odb sxw stw sxc stc sxi sti sxd std sxm", formats.zip_archive),
    ("zip jar", formats.zip_archive),
    ("pdf", formats.pdf),
    ("rtf", formats.rtf),
    ("onetoc2", _starts(bytes.fromhex("a12fff43d9ef764c9ee210ea5722765f"))),
    ("pst ost", formats.outlook_store),
    ("edb", _starts(b"\xef\xcd\xab\x89", at=4)),
    ("wk1", _starts(b"\0\0\2\0")),
    ("wks", _any(_starts(b"\0\0\2\0", b"\xff\0\2\0"), formats.ole2, formats.zip_archive)),
    ("123", _starts(b"\0\0\x1a\0")),
    ("dwg", _starts(b"AC10", b"AC1.", b"AC2.", b"MC0.0")),
    ("jpg jpeg", formats.jpeg),
    ("png", formats.png),
    ("gif", formats.gif),
    ("bmp", formats.bmp),
    ("tif tiff nef", formats.tiff),
    ("psd", _starts(b"8BPS")),
    ("ai", _any(formats.pdf, _starts(b"%!PS", b"\xc5\xd0\xd3\xc6"))),
    ("djvu", _starts(b"AT&TFORM")),
    ("rar", _RAR),
    ("7z", formats.seven_zip),
    ("gz tgz", _starts(b"\x1f\x8b\x08")),
    ("bz2", _starts(b"BZh1", b"BZh2", b"BZh3", b"BZh4", b"BZh5", b"BZh6", b"BZh7", b"BZh8", b"BZh9")),
    ("tar", formats.tar),
    (
        "iso",
        _any(_starts(b"CD001", b"BEA01", at=0x8001), _starts(b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0")),
    ),
    ("vdi", _starts(b"\x7f\x10\xda\xbe", at=0x40)),
    ("mp3", _MP3),
    ("mp4 mov 3gp 3g2", formats.iso_media),
    ("avi wav", formats.riff),
    ("wma wmv asf", _ASF),
    ("flv", _starts(b"FLV\x01")),
    ("mkv", _starts(b"\x1aE\xdf\xa3")),
    ("mpeg mpg vob", _MPEG),
    ("mid", _starts(b"MThd", b"RIFF")),
    ("swf", _starts(b"FWS", b"CWS", b"ZWS")),
    ("fla", _any(formats.ole2, formats.zip_archive)),
    ("class", _starts(b"\xca\xfe\xba\xbe")),
    ("sqlite3 sqlitedb", formats.sqlite),
    ("mdb accdb", _JET),
    ("dbf", formats.dbase),
    ("frm", _any(_starts(b"\xfe\x01", b"TYPE=VIEW"), _text)),
    ("myi", _starts(b"\xfe\xfe")),
    ("3dm", _starts(b"3D Geometry File Format")),
    ("3ds", _starts(b"MM")),
    ("der", formats.der),
    ("p12 pfx", formats.der),
    ("crt csr key", _any(formats.der, _text)),
    ("pem asc vmx m3u slk dif uot uop mml", _text),
    ("txt csv eml svg", _text),
    ("sh java rb asp php jsp pl vb vbs ps1 bat cmd js asm h pas cpp c cs sln sql", _text),
)

#: Types whose files have nothing in common that could be checked: what is called so, fits.
WITHOUT_CHECK: Final = frozenset(
    """602 aes arc backup bak brd cgm db dch dip gpg ibd lay lay6 ldf m4u mdf
    myd paq raw sch tbk vcd vmdk wb2""".split()  # noqa: SIM905
)

CHECKS: Final[dict[str, TypeCheck]] = {name: check for names, check in _TABLE for name in names.split()}


def fits_extension(extension: str, content: Content) -> bool:
    """Return whether `content` can be what `extension` (lower case, no dot) says.

    A file of nothing but zeros (as far as kept) fits no type: that is what a cut power line leaves of one.
    """
    if content.size_bytes >= _MIN_ZEROS_BYTES and _only_zeros(content.head) and _only_zeros(content.tail or b""):
        return False
    check = CHECKS.get(extension)
    return check is None or check(content)


def _only_zeros(data: bytes) -> bool:
    return data[:1] in (b"", b"\0") and data.count(0) == len(data)

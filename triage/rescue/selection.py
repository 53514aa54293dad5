"""Says which streams are users' files and which of them to save first, from path and stream name alone.

What is excluded is listed; what is not listed is a user's: to lose a document is worse than to copy a log too
many. Whether a selected file is worth copying is then decided by its content.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

# Tables of words, kept readable: the types the malware goes for first, and those it takes after them.
FIRST_TYPES: Final = frozenset(
    """doc docx xls xlsx ppt pptx pst ost msg eml vsd vsdx txt csv rtf 123 wks wk1 pdf dwg onetoc2 snt
    jpeg jpg""".split()  # noqa: SIM905
)
SECOND_TYPES: Final = frozenset(
    """docb docm dot dotm dotx xlsm xlsb xlw xlt xlm xlc xltx xltm pptm pot pps ppsm ppsx ppam potx
    potm edb hwp 602 sxi sti sldx sldm vdi vmdk vmx gpg aes arc paq bz2 tbk bak tar tgz gz 7z rar
    zip backup iso vcd bmp png gif raw cgm tif tiff nef psd ai svg djvu m4u m3u mid wma flv 3g2 mkv
    3gp mp4 mov avi asf mpeg vob mpg wmv fla swf wav mp3 sh class jar java rb asp php jsp brd sch
    dch dip pl vb vbs ps1 bat cmd js asm h pas cpp c cs suo sln ldf mdf ibd myi myd frm odb dbf db
    mdb accdb sql sqlitedb sqlite3 asc lay6 lay mml sxm otg odg uop std sxd otp odp wb2 slk dif stc
    sxc ots ods 3dm max 3ds uot stw sxw ott odt pem p12 csr crt key pfx der""".split()  # noqa: SIM905
)
# What was prepared (`.WNCYR`) was one of them.
_DOCUMENT_TYPES = FIRST_TYPES | SECOND_TYPES | {"wncyr"}
#: Mail stores: documents wherever a user has them, `AppData` too.
_MAIL_TYPES = frozenset({"pst", "ost"})

# Names are compared in lower case. Folders of the system, at a volume's root:
_SYSTEM_ROOTS = frozenset(
    {
        "windows", "winnt", "program files", "program files (x86)", "program files (arm)",
        "programdata", "boot", "efi", "recovery", "perflogs", "msocache", "config.msi",
        "system volume information", "intel", "$extend", "$windows.~bt", "$windows.~ws", "$winreagent",
        "$sysreset", "$getcurrent", "$inplace.~tr", "$upgrade.~os",
    }
)  # fmt: skip
_SYSTEM_ROOT_FILES = frozenset(
    {
        "pagefile.sys", "hiberfil.sys", "swapfile.sys", "bootmgr", "bootnxt", "bootsect.bak",
        "ntldr", "boot.ini", "ntdetect.com", "io.sys", "msdos.sys", "config.sys", "autoexec.bat",
        "bootfont.bin", "$mft", "$mftmirr", "$logfile", "$volume", "$attrdef", "$bitmap", "$boot",
        "$badclus", "$secure", "$upcase", ".",
    }
)  # fmt: skip
_PREVIOUS_WINDOWS = re.compile(r"windows\.old(\.\d+)?")
_HOMES = frozenset({"users", "documents and settings"})
# Below a home. The Chinese names are those that Chinese editions of XP have on disk.
_DOCUMENT_FOLDERS = frozenset({"desktop", "documents", "my documents", "桌面", "文档", "我的文档"})
# Caches and temporary folders anywhere below a home, and single files that Windows makes again by itself.
_PASSING_FOLDERS = frozenset(
    {
        "temp", "tmp", "temporary internet files", "content.ie5", "inetcache", "webcache", "cache",
        "caches", "cache2", "code cache", "gpucache", "shadercache", "dxcache", "d3dscache",
        "cachestorage", "cacheddata", "thumbnails", "crashdumps", "crashpad", "wer",
    }
)  # fmt: skip
_SETTINGS_FOLDERS = frozenset({"appdata", "local settings", "application data"})
_PASSING_FILES = re.compile(
    r"(?:ntuser\.(?:dat|ini|pol)|usrclass\.dat|desktop\.ini|thumbs\.db|iconcache|thumbcache_).*",
    re.IGNORECASE,
)
#: A plain original that the malware moved away, whatever folder it lies in.
_MOVED_ORIGINAL = re.compile(r"\d+\.wncryt")

# Named streams that hold what Windows or a program noted about a file, not what a user put there.
_NOTED_STREAMS = frozenset(
    {
        "zone.identifier", "smartscreen", "encryptable", "favicon", "wofcompresseddata",
        "afp_afpinfo", "oecustomproperty", "ms-properties", "com.dropbox.attributes",
        "com.dropbox.attrs", "{4c8cc155-6c1e-11d1-8e41-00c04fb9386d}", "\x05summaryinformation",
        "\x05documentsummaryinformation", "\x05sebiesnrmkudrfcoiaamtykdda",
        "\x05q30lsldxjoudresxaaaqpcawxc",
    }
)  # fmt: skip


class Tier(IntEnum):
    """The order of saving: all of one tier before the next."""

    DOCUMENT = 0
    OTHER = 1


def select(path: str, stream: str, size_bytes: int) -> Tier | None:
    """Return the tier of a user's stream, None for what is not rescued.

    `path` is `/`-separated from the volume's root; `stream` is "" for the unnamed one. A named stream is
    rescued, as a file of its own beside its file's, where it holds something that Windows did not put there.
    """
    folders = path.lower().split("/")
    name = folders.pop()
    if _MOVED_ORIGINAL.fullmatch(name) is not None and stream == "":
        return Tier.DOCUMENT
    if stream != "" and (size_bytes == 0 or stream.lower() in _NOTED_STREAMS):
        return None
    if len(folders) > 1 and _PREVIOUS_WINDOWS.fullmatch(folders[0]) is not None:
        folders = folders[1:]
    if not folders:
        return None if name in _SYSTEM_ROOT_FILES else Tier.OTHER
    if folders[0] in _SYSTEM_ROOTS:
        return None
    if folders[0] in _HOMES and len(folders) > 1:
        tier = _select_at_home(folders[2:], name)
        return Tier.OTHER if tier is not None and stream != "" else tier
    return None if _PASSING_FILES.fullmatch(name) is not None else Tier.OTHER


def is_document(path: str, stream: str, size_bytes: int) -> bool:
    """Say whether a user's stream, whatever folder it lies in, is of a type that the malware goes for."""
    name = path.rpartition("/")[2].lower()
    is_one = name.rpartition(".")[2] in _DOCUMENT_TYPES or _MOVED_ORIGINAL.fullmatch(name) is not None
    return is_one and select(path, stream, size_bytes) is not None


def _select_at_home(folders: list[str], name: str) -> Tier | None:
    """Judge a file of one user by its folders below the home."""
    extension = name.rpartition(".")[2]
    if extension in _MAIL_TYPES:
        return Tier.DOCUMENT
    if _PASSING_FILES.fullmatch(name) is not None:
        return None
    if folders and folders[0] in _SETTINGS_FOLDERS:
        return None if not _PASSING_FOLDERS.isdisjoint(folders) else Tier.OTHER
    in_documents = not _DOCUMENT_FOLDERS.isdisjoint(folders[:2])  # the second one: OneDrive/Documents
    return Tier.DOCUMENT if in_documents and extension in _DOCUMENT_TYPES else Tier.OTHER

"""Inert samples, a pair for each rule of `yara/`: what it must find, and the nearest thing that it must not.

Made here and not stored: strings in a file look like malware to other scanners. The strings are written in
pieces for the same reason. Nothing here can run.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "yara"

WINDOW = "@Wana" + "Decryptor@"
NOTE_START = "Q:  What's wrong " + "with my files?"


def c_string(text: str) -> bytes:
    """Return text as a compiler stores it."""
    return text.encode("ascii") + b"\0"


def wide(text: str) -> bytes:
    """Return text as a compiler stores it in UTF-16."""
    return (text + "\0").encode("utf-16-le")


def program(*strings: bytes, signature: bytes = b"MZ") -> bytes:
    """Return a stand-in for a program: signature, strings, and a long resource behind them, all filler."""
    table = b"\0\0".join(strings)
    resource = bytes(range(256)) * (len(table) // 256 + 2)
    return signature.ljust(0x40, b"\0") + table + resource


def encrypted_file(key_length: int = 0x100, type_number: int = 4, magic: bytes = b"WANA" + b"CRY!") -> bytes:
    """Return the header of an encrypted file, and a body that is no ciphertext."""
    header = magic + struct.pack("<I", key_length) + bytes(256) + struct.pack("<IQ", type_number, 640)
    return header + bytes(640)


def archive(*names: str) -> bytes:
    """Return zip local file headers (APPNOTE 4.3.7) with empty members."""
    header = b"PK\x03\x04" + bytes(22)
    return b"".join(header + struct.pack("<HH", len(name), 0) + name.encode() + bytes(40) for name in names)


def configuration(tor: bytes, *servers: str) -> bytes:
    """Return 780 bytes laid out as the configuration."""
    head = bytes(0xE4) + "".join(f"{server}.onion;" for server in servers).encode()
    return (head.ljust(0x1DC, b"\0") + tor).ljust(780, b"\0")


def code(*numbers: int) -> bytes:
    """Return a program of the instruction sequences, which only the rule itself holds, its gaps filled."""
    text = (RULES / "wannacry_programs.yar").read_text(encoding="utf-8")
    found = dict(re.findall(r"\$code_(\d) = \{ ([0-9A-F? ]+) \}", text))
    return program(*(bytes.fromhex(found[str(number)].replace("??", "00")) for number in numbers))


def note(*sentences: str, start: str = NOTE_START) -> bytes:
    """Return a text of the note's form."""
    return "\r\n".join((start, "", *sentences, "", "x" * 200)).encode()


def batch(target: str, end: str = "\r\n") -> bytes:
    """Return a text of the batch file's form."""
    create = "WScript.Create" + 'Object("WScript.Shell")'
    lines = [
        "@echo off",
        f"echo SET ow = {create}> m.vbs",
        f'echo SET om = ow.CreateShortcut("C:\\x\\{target}.exe.lnk")>> m.vbs',
        f'echo om.TargetPath = "C:\\x\\{target}.exe">> m.vbs',
        "echo om.Save>> m.vbs",
        "cscript.exe //nologo m.vbs",
        "del m.vbs",
        "del /a %0",
    ]
    return end.join(lines).encode()


def script(target: str) -> bytes:
    """Return a text of the script's form."""
    create = "WScript.Create" + 'Object("WScript.Shell")'
    return (
        f'SET ow = {create}\r\nSET om = ow.CreateShortcut("C:\\x\\{target}.exe.lnk")\r\n'
        f'om.TargetPath = "C:\\x\\{target}.exe"\r\nom.Save\r\n'
    ).encode()


MOVED = c_string("C:\\%s\\qeriu" + "wjhrf")
SERVICE = c_string("mssec" + "svc2.0")
DROPPED = c_string("mssec" + "svc.exe")
SHARES = (wide("\\\\192.168." + "56.20\\IPC$"), wide("\\\\172.16." + "99.5\\IPC$"))
PLACEHOLDERS = (b"__TREEID__" + b"PLACEHOLDER__", b"__USERID__" + b"PLACEHOLDER__")
KILL_SWITCH = b"http://www.iuqerfsodp" + b"9ifjaposdfjhgosurijfaewrwergwea.com"
LAUNCHER = c_string("Play" + "Game")
PASSWORD = c_string("WNcry" + "@2ol7")
GRANT = c_string("icacls . /grant Every" + "one:F /T /C /Q")
MUTEX = c_string("Global\\MsWin" + "ZonesCacheCounterMutexA")
ADDRESS = c_string("13AM4VW2dhxYgXeQ" + "epoHkHSQuy6NgaEb94")
TOR = c_string("https://dist.torproject.org/torbrowser/6.5.1/tor-win32-" + "0.2.9.10.zip")
SERVERS = ("gx7ekbenv2riucmf", "57g7spgr" + "zlojinas", "xxlvbrloxvriy2c5", "76jdd2ir" + "2embyv47")

MATCHING: dict[str, bytes] = {
    "WannaCry_Worm_Strings": program(MOVED, SERVICE, *PLACEHOLDERS, *SHARES),
    "WannaCry_Worm_KillSwitch": program(KILL_SWITCH),
    "WannaCry_Launcher_Strings": program(LAUNCHER, c_string("C:\\%s\\%s"), DROPPED),
    "WannaCry_Installer_Strings": program(PASSWORD, GRANT, MUTEX, ADDRESS, wide("Wana" + "Crypt0r")),
    "WannaCry_Encryptor_Strings": program(
        c_string("%08X" + ".pky"),
        c_string("%08X" + ".eky"),
        wide(".WNC" + "RYT"),
        wide(WINDOW + ".exe"),
        signature=b"",
    ),
    "WannaCry_Window_Strings": program(
        wide("Wana " + "Decrypt0r 2.0"),
        c_string("m_%s" + ".wnry"),
        c_string("taskh" + "svc.exe"),
        c_string(WINDOW),
    ),
    "WannaCry_FileDeleter_Strings": program(wide(".WNC" + "RYT"), wide("$REC" + "YCLE")),
    "WannaCry_SessionLauncher_Strings": program(wide("waitfor.exe"), c_string("WTSQueryUserToken")),
    "WannaCry_Code_Sequences": code(1, 2),
    "WannaCry_EncryptedFile_Header": encrypted_file(),
    "WannaCry_Configuration_Servers": configuration(TOR, *SERVERS),
    "WannaCry_Archive_Members": archive("b.wnry", "c.wnry", "msg/m_english.wnry", "taskdl.exe"),
    "WannaCry_Note_Text": note(
        "A:  Ooops.", f"find an application file named {WINDOW}.exe", "A:  Don't worry about decryption."
    ),
    "WannaCry_Batch_Text": batch(WINDOW),
    "WannaCry_Script_Text": script(WINDOW),
    "WannaCry_Version1_Strings": program(c_string("wcry" + "@123"), b"Global\\WINDOWS_TASK" + b"OSHT_MUTEX"),
}

NOT_MATCHING: dict[str, bytes] = {
    "WannaCry_Worm_Strings": program(SERVICE, *PLACEHOLDERS[:1]),
    "WannaCry_Worm_KillSwitch": program(KILL_SWITCH, signature=b"<html>"),
    "WannaCry_Launcher_Strings": program(LAUNCHER, c_string("C:\\%s\\%s")),
    "WannaCry_Installer_Strings": program(PASSWORD, MUTEX),
    "WannaCry_Encryptor_Strings": program(wide(".WNC" + "RYT"), wide(".WNC" + "RY"), wide(WINDOW), c_string(WINDOW)),
    "WannaCry_Window_Strings": program(wide("Wana " + "Decrypt0r 2.0"), c_string(WINDOW)),
    "WannaCry_FileDeleter_Strings": program(wide(".WNC" + "RYT"), wide("$REC" + "YCLE.BIN")),
    "WannaCry_SessionLauncher_Strings": program(wide("waitfor.exe"), c_string("GetTokenInformation")),
    "WannaCry_Code_Sequences": code(1),
    "WannaCry_EncryptedFile_Header": encrypted_file(type_number=5),
    "WannaCry_Configuration_Servers": (".onion;".join(SERVERS) + ".onion; from a report, which goes on.").encode(),
    "WannaCry_Archive_Members": archive("b.wnry", "c.wnry", "readme.txt"),
    "WannaCry_Note_Text": note("A:  That is what the note asks first."),
    "WannaCry_Batch_Text": batch("Calculator"),
    "WannaCry_Script_Text": script("Calculator"),
    "WannaCry_Version1_Strings": program(c_string("wcry" + "@123")),
}


def quoting_report() -> bytes:
    """Return an analyst's text that quotes everything that the samples hold, in words and not in bytes."""
    quoted = (MOVED, SERVICE, DROPPED, *PLACEHOLDERS, KILL_SWITCH, PASSWORD, GRANT, MUTEX, ADDRESS, TOR)
    lines = [part.rstrip(b"\0") for part in quoted]
    lines += [share.decode("utf-16-le").rstrip("\0").encode() for share in SHARES]
    texts = "; ".join(f"{server}.onion" for server in SERVERS)
    more = f"{NOTE_START} A:  Don't worry about decryption. {WINDOW}.exe, and Global\\WINDOWS_TASKCST_MUTEX"
    return b"# Report\n\n* " + b"\n* ".join(lines) + f"\n* {texts}\n* {more}\n".encode()

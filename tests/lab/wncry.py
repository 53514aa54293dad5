"""The `.WNCRY` container as a file format: bytes in, bytes out, under a key that each test makes for itself.

Fixtures in the true format let the tests prove that the examiner knows an encrypted file from one that merely
quotes its magic. Nothing here opens, lists or changes a file. Layout: magic, RSA-wrapped AES key
(little-endian, as CryptEncrypt writes it), type, original size, then AES-128-CBC with a zero IV over the
zero-padded content as one chain.
"""

from __future__ import annotations

import secrets
import struct
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MAGIC = b"WANACRY!"
HEADER_BYTES = 0x118
MOVED_HEAD_BYTES = 0x10000
_HEADER = struct.Struct("<8sI256sIQ")
_KEY_BYTES = 0x100
_AES_BLOCK_BYTES = 16


class ContainerType(IntEnum):
    """The type field: a large file only prepared, or one encrypted in full."""

    PREPARED = 3
    ENCRYPTED = 4


def make_test_key() -> rsa.RSAPrivateKey:
    """Return a fresh RSA-2048 key; it lives as long as the test that holds it."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def header(original_bytes: int, *, kind: ContainerType = ContainerType.ENCRYPTED, wrapped: bytes = b"") -> bytes:
    """Return the 0x118 bytes before the content; `wrapped` is the AES key as stored, by default random."""
    return _HEADER.pack(MAGIC, _KEY_BYTES, wrapped or secrets.token_bytes(_KEY_BYTES), kind, original_bytes)


def encrypted(plain: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Return `plain` as a type 4 container."""
    aes_key = secrets.token_bytes(16)
    wrapped = key.public_key().encrypt(aes_key, padding.PKCS1v15())[::-1]
    encryptor = _cipher(aes_key).encryptor()
    padded = plain + bytes(-len(plain) % _AES_BLOCK_BYTES)
    return header(len(plain), wrapped=wrapped) + encryptor.update(padded) + encryptor.finalize()


def decrypted(container: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Return the original of a type 4 container; ValueError where it is none or the key does not fit."""
    magic, key_bytes, wrapped, kind, original_bytes = _HEADER.unpack_from(container)
    if magic != MAGIC or key_bytes != _KEY_BYTES or kind != ContainerType.ENCRYPTED:
        raise ValueError("not a type 4 container")
    decryptor = _cipher(key.decrypt(wrapped[::-1], padding.PKCS1v15())).decryptor()
    plain: bytes = decryptor.update(container[HEADER_BYTES:]) + decryptor.finalize()
    return plain[:original_bytes]


def prepared(plain: bytes) -> bytes:
    """Return `plain` (64 KiB or more) as a type 3 file: a header for its head, which moves to the end."""
    if len(plain) < MOVED_HEAD_BYTES:
        raise ValueError("a prepared file is 64 KiB long or more")
    front = header(len(plain), kind=ContainerType.PREPARED)
    return front.ljust(MOVED_HEAD_BYTES, b"\0") + plain[MOVED_HEAD_BYTES:] + plain[:MOVED_HEAD_BYTES]


def restored(container: bytes) -> bytes:
    """Return the original of a type 3 file, for which no key is needed."""
    return container[-MOVED_HEAD_BYTES:] + container[MOVED_HEAD_BYTES:-MOVED_HEAD_BYTES]


def _cipher(aes_key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(aes_key), modes.CBC(bytes(_AES_BLOCK_BYTES)))

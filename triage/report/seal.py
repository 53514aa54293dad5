"""The seal of a case: `SHA256SUMS` over every file, an SSH signature over that, and who signed it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from cryptography.utils import CryptographyDeprecationWarning
from msgspec import Struct

from triage.model.errors import ReportError, UsageError
from triage.report.case_files import (
    ALLOWED_SIGNERS,
    SIGNATURE,
    SUMS,
    is_payload,
    is_unlisted,
    list_folder,
    sha256_file,
    sums_line,
)
from triage.report.durable import durable_text
from triage.report.sshsig import (
    HASH_ALGORITHM,
    NAMESPACE,
    SshSignature,
    curve_hash,
    fingerprint,
    signed_bytes,
    signer_line,
    split_wire_strings,
    wire_form,
    wire_mpint,
    wire_string,
)

PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_KEY_FILE_LIMIT_BYTES = 1 << 16
_DEFAULT_SIGNER = "triage"


class Seal(Struct, frozen=True, kw_only=True):
    """What was sealed: by whom, with which key, how many files the list covers."""

    signer: str
    fingerprint: str
    files: int


class SigningKey:
    """A private key in memory; one made for a case is never written and is gone when the job ends."""

    def __init__(self, private_key: PrivateKey) -> None:
        self._private_key = private_key
        self.public_key = wire_form(private_key.public_key())

    @classmethod
    def generate(cls) -> Self:
        """Make an Ed25519 key."""
        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path, ask_passphrase: Callable[[], str]) -> Self:
        """Read an OpenSSH private key (Ed25519, ECDSA or RSA); the passphrase is asked for only where one is
        needed.

        Errors: `UsageError` for a file that is no such key, a key of another type, and a wrong passphrase.
        """
        data = _read_key_file(path)
        try:
            private_key = _load_private_key(data, None)
        except TypeError:  # what cryptography raises where a passphrase is needed
            passphrase = ask_passphrase().encode("utf-8", "surrogateescape")
            try:
                private_key = _load_private_key(data, passphrase)
            except (ValueError, TypeError) as error:
                raise UsageError(f"wrong passphrase for the key {path}") from error
        except ValueError as error:
            raise UsageError(
                f"{path} is not an OpenSSH private key", hint="make one with: ssh-keygen -t ed25519"
            ) from error
        if not isinstance(private_key, PrivateKey):
            raise UsageError(f"{path} is a DSA key", hint="use an Ed25519, ECDSA or RSA key")
        return cls(private_key)

    @property
    def fingerprint(self) -> str:
        """The public key's fingerprint, as `ssh-keygen -l` prints it."""
        return fingerprint(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """Return the content of a signature file over `message`, namespace `triage-report`."""
        signed = signed_bytes(message, NAMESPACE, HASH_ALGORITHM)
        key_type = split_wire_strings(self.public_key, limit=1)[0]
        key = self._private_key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            value = key.sign(signed)
        elif isinstance(key, rsa.RSAPrivateKey):
            key_type = b"rsa-sha2-512"
            value = key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
        else:
            r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(curve_hash(key_type))))
            value = wire_mpint(r) + wire_mpint(s)
        return SshSignature(
            public_key=self.public_key,
            namespace=NAMESPACE,
            hash_algorithm=HASH_ALGORITHM,
            signature=wire_string(key_type) + wire_string(value),
        ).armoured()


def seal_case(folder: Path, key: SigningKey, signer: str) -> Seal:
    """Write `allowed_signers`, `SHA256SUMS` and `SHA256SUMS.sig` into `folder`, each durable; an older seal
    is replaced.

    `signer` is a case id or an address; what `allowed_signers` cannot hold becomes `-`. The bag's payload is
    left to the bag's manifest. Errors: `ReportError` for a folder that cannot be read or written or that
    holds a link.
    """
    principal = _principal(signer)
    with durable_text(folder / ALLOWED_SIGNERS) as out:
        out.write(signer_line(principal, key.public_key).decode())
    sums = _sums(folder)
    with durable_text(folder / SUMS) as out:
        out.write(sums)
    with durable_text(folder / SIGNATURE) as out:
        out.write(key.sign(sums.encode()).decode())
    return Seal(signer=principal, fingerprint=key.fingerprint, files=sums.count("\n"))


def _sums(folder: Path) -> str:
    try:
        content = list_folder(folder)
        if content.others:
            raise ReportError(f"{content.others[0]!r} in the case is neither a file nor a folder", hint="remove it")
        listed = [path for path in content.files if not is_payload(path) and not is_unlisted(path)]
        return "".join(sums_line(sha256_file(folder / path), path) for path in listed)
    except OSError as error:
        raise ReportError(f"cannot read {error.filename} to seal it: {error.strerror}") from error
    except ValueError as error:
        raise ReportError(
            f"a file in the case has a name that cannot be sealed: {str(error)!r}", hint="rename it"
        ) from error


def _principal(signer: str) -> str:
    safe = "".join(character if character.isalnum() or character in "._@+-" else "-" for character in signer)
    return safe if safe.strip("-") else _DEFAULT_SIGNER


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_KEY_FILE_LIMIT_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}") from error
    if data.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        raise UsageError(f"{path} is a public key", hint="give the private key, the file without .pub")
    return data


def _load_private_key(data: bytes, passphrase: bytes | None) -> object:
    """Load as cryptography does, without its warning about DSA, which is refused in words of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return load_ssh_private_key(data, passphrase)
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error

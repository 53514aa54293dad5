"""SSH signatures, so that anyone can check a case with the `ssh-keygen` that is on every machine.

Format: OpenSSH's PROTOCOL.sshsig; keys and signatures as in RFC 4253 6.6, RFC 5656 3.1, RFC 8332 and RFC
8709. Only one spelling of each signature and of each signer line is accepted, the one that OpenSSH and this
module write: what a parser would pass over could be changed without being noticed.
"""

from __future__ import annotations

import base64
import hashlib
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from msgspec import Struct

from triage.model.errors import ParseError

NAMESPACE = "triage-report"
HASH_ALGORITHM = "sha512"

PublicKey = ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_MAGIC = b"SSHSIG"
_VERSION = (1).to_bytes(4, "big")
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_ARMOUR_COLUMNS = 70
_RSA_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    b"rsa-sha2-256": hashes.SHA256(),
    b"rsa-sha2-512": hashes.SHA512(),
}
_CURVE_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    b"ecdsa-sha2-nistp256": hashes.SHA256(),
    b"ecdsa-sha2-nistp384": hashes.SHA384(),
    b"ecdsa-sha2-nistp521": hashes.SHA512(),
}
_SIGNER_LINE = re.compile(rb'([^\s"#*?!,]+) namespaces="triage-report" [a-z0-9-]+ ([A-Za-z0-9+/]+={0,2})\n')


class SshSignature(Struct, frozen=True, kw_only=True):
    """A signature as it lies in its file; `public_key` and `signature` are in SSH wire form."""

    public_key: bytes
    namespace: str
    hash_algorithm: str
    signature: bytes

    def armoured(self) -> bytes:
        """Return the content of the signature file, as OpenSSH writes it."""
        fields = (self.public_key, self.namespace.encode(), b"", self.hash_algorithm.encode(), self.signature)
        encoded = base64.b64encode(_MAGIC + _VERSION + b"".join(map(wire_string, fields)))
        lines = (encoded[at : at + _ARMOUR_COLUMNS] for at in range(0, len(encoded), _ARMOUR_COLUMNS))
        return _BEGIN + b"".join(line + b"\n" for line in lines) + _END

    def fits(self, message: bytes) -> bool:
        """Say whether this is a signature over `message` by its own key."""
        if self.hash_algorithm not in ("sha256", "sha512"):
            return False
        try:
            key = load_public_key(self.public_key)
            _check(key, self.signature, signed_bytes(message, self.namespace, self.hash_algorithm))
        except (InvalidSignature, ParseError):
            return False
        return True


def signed_bytes(message: bytes, namespace: str, hash_algorithm: str) -> bytes:
    """Return what is really signed: the namespace and the message's digest under a preamble of their own."""
    digest = hashlib.new(hash_algorithm, message).digest()
    return _MAGIC + b"".join(map(wire_string, (namespace.encode(), b"", hash_algorithm.encode(), digest)))


def parse_signature(data: bytes) -> SshSignature:
    """Read a signature file. Errors: `ParseError` for anything but the canonical form."""
    try:
        wire = base64.b64decode(data.removeprefix(_BEGIN).removesuffix(_END))
        fields = split_wire_strings(wire[len(_MAGIC) + len(_VERSION) :])
        public_key, namespace, _reserved, hash_algorithm, signature = fields
        parsed = SshSignature(
            public_key=public_key,
            namespace=namespace.decode(),
            hash_algorithm=hash_algorithm.decode(),
            signature=signature,
        )
    except ValueError as error:
        raise ParseError("not an SSH signature") from error
    if parsed.armoured() != data:
        raise ParseError("not the canonical form of an SSH signature")
    return parsed


def signer_line(signer: str, public_key: bytes) -> bytes:
    """Return an `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS) for one signer and our namespace."""
    key_type = split_wire_strings(public_key, limit=1)[0]
    encoded = base64.b64encode(public_key)
    return b'%s namespaces="%s" %s %s\n' % (signer.encode(), NAMESPACE.encode(), key_type, encoded)


def parse_signer_line(data: bytes) -> tuple[str, bytes]:
    """Return signer and key of an `allowed_signers` file. Errors: `ParseError` for all but `signer_line`."""
    match = _SIGNER_LINE.fullmatch(data)
    try:
        if match is not None:
            signer, public_key = match[1].decode(), base64.b64decode(match[2])
            load_public_key(public_key)
            if signer_line(signer, public_key) == data:
                return signer, public_key
    except ValueError as error:
        raise ParseError("not a signer line") from error
    raise ParseError("not the canonical form of a signer line")


def fingerprint(public_key: bytes) -> str:
    """Return the fingerprint of a public key in wire form, as `ssh-keygen -l` prints it."""
    digest = base64.b64encode(hashlib.sha256(public_key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def wire_form(key: PublicKey) -> bytes:
    """Return a public key in SSH wire form."""
    return base64.b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])


def load_public_key(public_key: bytes) -> PublicKey:
    """Return the key of its wire form. Errors: `ParseError` where we cannot check signatures of its kind."""
    key_type = split_wire_strings(public_key, limit=1)[0]
    if key_type not in (b"ssh-ed25519", b"ssh-rsa", *_CURVE_HASHES):
        raise ParseError("a key of an unsupported type")
    try:
        key = load_ssh_public_key(key_type + b" " + base64.b64encode(public_key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ParseError("a damaged public key") from error
    if not isinstance(key, PublicKey) or wire_form(key) != public_key:
        raise ParseError("a public key that is not in its canonical form")
    return key


def wire_string(value: bytes) -> bytes:
    """Return `value` with its length before it (RFC 4251 5, `string`)."""
    return len(value).to_bytes(4, "big") + value


def split_wire_strings(data: bytes, limit: int | None = None) -> list[bytes]:
    """Return the (first `limit`) strings of which `data` is made. Errors: `ParseError` if it is cut short."""
    strings: list[bytes] = []
    at = 0
    while at < len(data) and len(strings) != limit:
        start = at + 4
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise ParseError("SSH string", offset_bytes=start, need_bytes=at - start, have_bytes=len(data) - start)
        strings.append(data[start:at])
    if limit is not None and len(strings) < limit:
        raise ParseError("SSH string", offset_bytes=at, need_bytes=4)
    return strings


def _check(key: PublicKey, signature: bytes, signed: bytes) -> None:
    """Raise `InvalidSignature` or `ParseError` unless `signature` (wire form) is by `key` over `signed`."""
    algorithm, *values = split_wire_strings(signature)
    if len(values) != 1:
        raise ParseError("a signature with more than one value")
    if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == b"ssh-ed25519":
        key.verify(values[0], signed)
    elif isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA_HASHES:
        key.verify(values[0], signed, padding.PKCS1v15(), _RSA_HASHES[algorithm])
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == split_wire_strings(wire_form(key), limit=1)[0]:
        r, s = (int.from_bytes(number, "big") for number in split_wire_strings(values[0]))
        if values[0] != wire_mpint(r) + wire_mpint(s):
            raise ParseError("an ECDSA signature that is not in its canonical form")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_CURVE_HASHES[algorithm]))
    else:
        raise ParseError("a signature that is not of its key's type")


def wire_mpint(number: int) -> bytes:
    """Return a number that is not negative as RFC 4251 5, `mpint`: no needless zero byte, top bit clear."""
    return wire_string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


def curve_hash(key_type: bytes) -> hashes.HashAlgorithm:
    """Return the hash that goes with an ECDSA key type (RFC 5656 6.2.1)."""
    return _CURVE_HASHES[key_type]

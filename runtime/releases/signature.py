"""Signatures in minisign's format (https://jedisct1.github.io/minisign/): Ed25519, of the file or of its BLAKE2b hash.

Keys and signatures are two or four lines of text; the mathematics is the package `cryptography`'s.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import user_folder

OF_FILE, OF_HASH = b"Ed", b"ED"  # the algorithms of a signature; a key is always "Ed"
KEY_BYTES, SIGNATURE_BYTES = 42, 74  # algorithm (2), number of the key (8), then the key (32) or signature (64)
TRUSTED = "trusted comment: "


class SignatureError(Exception):
    """A signature that is missing, of another key, or not of this file; the message goes after the file's name."""


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with; `number` is how minisign shows it."""

    identity: bytes
    key: bytes

    @property
    def number(self) -> str:
        return self.identity[::-1].hex().upper()


def parse_key(text: str, where: str) -> PublicKey:
    """A public key from minisign's file, or the one line of it that counts. Raises InputError."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    data = _decoded(lines[-1]) if lines else b""
    if len(data) != KEY_BYTES or data[:2] != OF_FILE:
        raise InputError(f"{where}: not a public key of minisign (two lines, the second begins with RW)")
    return PublicKey(data[2:10], data[10:])


def trusted_keys(given: Sequence[str]) -> list[PublicKey]:
    """The keys given, each as a file or a key's line; those of this station, `keys/*.pub`, where none is given.

    Raises:
        InputError: a file that cannot be read, or that holds no key.
    """
    if given:
        return [_read_key(Path(key)) if Path(key).exists() else parse_key(key, f"--key {key}") for key in given]
    return [_read_key(file) for file in sorted(keys_folder().glob("*.pub"))]


def keys_folder() -> Path:
    """Where this station's public keys lie."""
    return user_folder("XDG_CONFIG_HOME", ".config", "/etc") / "keys"


def check_signature(data: bytes, signature: str, keys: Sequence[PublicKey]) -> PublicKey:
    """Check a file's bytes against its signature; returns the key that made it.

    Raises:
        SignatureError: it is none of these keys' signature of these bytes.
        ModuleNotFoundError: `cryptography` is not installed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    lines = signature.splitlines()
    raw, over_all = (_decoded(lines[n]) if len(lines) >= 4 else b"" for n in (1, 3))
    if len(raw) != SIGNATURE_BYTES or len(over_all) != 64 or not lines[2].startswith(TRUSTED):
        raise SignatureError("its signature is not one of minisign (four lines)")
    key = next((key for key in keys if key.identity == raw[2:10]), None)
    if key is None:
        number = raw[2:10][::-1].hex().upper()
        raise SignatureError(f"signed with the key {number}, which is none of this station's")
    if raw[:2] not in (OF_FILE, OF_HASH):
        raise SignatureError("its signature is of a kind that this edgedrag does not know")
    signed = hashlib.blake2b(data).digest() if raw[:2] == OF_HASH else data
    try:
        verifier = Ed25519PublicKey.from_public_bytes(key.key)
        verifier.verify(raw[10:], signed)
        verifier.verify(over_all, raw[10:] + lines[2][len(TRUSTED) :].encode())
    except InvalidSignature:
        raise SignatureError(f"its signature by the key {key.number} is not of this file, or was changed") from None
    return key


def _read_key(file: Path) -> PublicKey:
    try:
        return parse_key(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: the public key cannot be read ({error})") from None


def _decoded(line: str) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""

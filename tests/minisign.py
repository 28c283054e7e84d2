"""Signs as minisign does, with the key of `minisign -G -W` in tests/runtime/releases/minisign (for tests alone)."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

KEYS = Path(__file__).parent / "runtime" / "releases" / "minisign"
KEY = KEYS / "key.pub"


def sign(file: Path, comment: str = "for the tests", secret: Path = KEYS / "key.sec") -> Path:
    """Write FILE.minisig beside a file; needs `cryptography`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = base64.b64decode(secret.read_text().splitlines()[1])
    identity, seed = raw[54:62], raw[62:94]  # after algorithms, salt and limits of a key without a password
    private = Ed25519PrivateKey.from_private_bytes(seed)
    signature = private.sign(hashlib.blake2b(file.read_bytes()).digest())
    lines = [
        "untrusted comment: signature",
        base64.b64encode(b"ED" + identity + signature).decode(),
        f"trusted comment: {comment}",
        base64.b64encode(private.sign(signature + comment.encode())).decode(),
    ]
    signed = file.with_name(f"{file.name}.minisig")
    signed.write_text("\n".join(lines) + "\n")
    return signed


if __name__ == "__main__":
    sign(Path(sys.argv[1]))

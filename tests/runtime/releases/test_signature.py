"""Signatures that minisign 0.11 made, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from minisign import KEYS, sign

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.releases.signature import SignatureError, check_signature, parse_key, trusted_keys

pytest.importorskip("cryptography", reason="cryptography is not installed; the extra [releases] brings it")

MESSAGE = (KEYS / "message.json").read_bytes()
KEY = parse_key((KEYS / "key.pub").read_text(), "key.pub")
OTHER = parse_key((KEYS / "other.pub").read_text(), "other.pub")
SIGNED = (KEYS / "message.json.minisig").read_text()


@pytest.mark.parametrize("kind", ["message.json.minisig", "message.json.legacy.minisig"])
def test_what_minisign_signed_is_accepted(kind: str) -> None:
    assert check_signature(MESSAGE, (KEYS / kind).read_text(), [OTHER, KEY]) == KEY
    assert KEY.number == "204778A7C65EFBCE", "as minisign prints it"


def test_our_signer_is_minisigns(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(MESSAGE)
    assert check_signature(MESSAGE, sign(file).read_text(), [KEY]) == KEY


def test_every_flipped_bit_of_message_signature_and_comment_is_refused() -> None:
    for position in range(len(MESSAGE)):
        changed = bytearray(MESSAGE)
        changed[position] ^= 1
        with pytest.raises(SignatureError, match="not of this file"):
            check_signature(bytes(changed), SIGNED, [KEY])
    lines = SIGNED.splitlines()
    for number in (1, 2, 3):
        for position in range(len(lines[number])):
            text = lines[number][:position] + chr(ord(lines[number][position]) ^ 1) + lines[number][position + 1 :]
            if text == lines[number] or text.isspace():
                continue
            changed_lines = [*lines[:number], text, *lines[number + 1 :]]
            with pytest.raises(SignatureError):
                check_signature(MESSAGE, "\n".join(changed_lines), [KEY])


def test_another_stations_key_is_named() -> None:
    with pytest.raises(SignatureError, match="the key 204778A7C65EFBCE, which is none of this station's"):
        check_signature(MESSAGE, SIGNED, [OTHER])
    swapped = type(KEY)(KEY.identity, OTHER.key)
    with pytest.raises(SignatureError, match="not of this file"):
        check_signature(MESSAGE, SIGNED, [swapped])


@pytest.mark.parametrize("text", ["", "\n\n\n\n", SIGNED.splitlines()[1], "a\nb\nc\nd", SIGNED.replace("trusted", "x")])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        check_signature(MESSAGE, text, [KEY])


def test_keys_are_files_or_lines_or_those_of_the_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert trusted_keys([]) == []
    line = (KEYS / "key.pub").read_text().splitlines()[1]
    assert trusted_keys([line, str(KEYS / "other.pub")]) == [KEY, OTHER]
    (tmp_path / "edgedrag" / "keys").mkdir(parents=True)
    (tmp_path / "edgedrag" / "keys" / "shop.pub").write_text(line)
    assert trusted_keys([]) == [KEY]
    for wrong in ("RWnokey", str(KEYS / "message.json"), str(KEYS / "key.sec")):
        with pytest.raises(InputError, match="not a public key"):
            trusted_keys([wrong])

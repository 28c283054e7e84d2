"""A station's settings: their ranges, the TOML file, the token's file, the addresses that are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY
from minisign import KEY

import edgedrag
from edgedrag.commands.options import Engine
from edgedrag.commands.releases import install, use
from edgedrag.commands.studio import studio
from edgedrag.runtime.bundle.installed import Serving, Trial
from edgedrag.runtime.releases.signature import parse_key
from edgedrag.studio.addresses import print_addresses
from edgedrag.studio.settings import Limits, Settings, make_settings
from edgedrag.studio.settings_file import SettingsFile, read_settings, read_token

TOKEN = "a" * 16
LINE = KEY.read_text().splitlines()[1]  # of a public key


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"host": "0.0.0.0"}, "--token-file"),
        ({"host": "example.org"}, "--token-file"),
        ({"token": "short"}, "16 to 200"),
        ({"port": 70000}, "--port: 70000"),
        ({"idle_seconds": 0}, "--idle: 0"),
        ({"hang_seconds": float("nan")}, "--hang"),
        ({"queue": 0}, "--queue"),
        ({"upload_mb": 0}, "--upload-mb"),
        ({"root_path": "/retouch/"}, "--root-path"),
    ],
)
def test_settings_that_make_no_sense(values: dict[str, Any], why: str) -> None:
    with pytest.raises(edgedrag.InputError, match=why):
        make_settings(**values)


def test_settings_that_do() -> None:
    for values in ({}, {"host": "::1"}, {"host": "0.0.0.0", "token": TOKEN}, {"root_path": "/a/b"}):
        assert make_settings(**values).port == 8000
    shown = make_settings(token=TOKEN, staff_code="s" * 16).shown()
    assert not {"token", "staff_code"} & shown.keys() and json.dumps(shown)
    assert TOKEN not in repr(make_settings(token=TOKEN))


def test_a_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "studio.toml"
    file.write_text("idle_seconds = 60\nmark = false\n[limits]\nbad_share = 0.2\n[engine]\nthreads = 1\n")
    limits = Limits(bad_share=0.2)
    assert read_settings(file) == {"idle_seconds": 60.0, "mark": False, "limits": limits, "threads": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("port = ", "is not TOML"),
        ("prot = 8000", "prot: there is no such setting"),
        ('port = "many"', "port: 'many'"),
        ("queue = 0", "queue: 0: .*greater"),
        ("[limits]\nbad_share = 2", "limits.bad_share: 2"),
        ('[engine]\nbackend = "gpu"', "engine.backend: 'gpu'"),
        ('token = "aaaaaaaaaaaaaaaaa"', "token: there is no such setting"),
        ("\udcff", "is not TOML"),
    ],
)
def test_a_settings_file_that_makes_no_sense(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "studio.toml"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(edgedrag.InputError, match=rf"studio.toml: {why}"):
        read_settings(file)
    with pytest.raises(edgedrag.InputError, match="cannot be read"):
        read_settings(tmp_path)


def test_options_count_before_the_file_and_the_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command but for the serving."""
    file, token = tmp_path / "studio.toml", tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    file.write_text(
        f'host = "0.0.0.0"\ntoken_file = "{token}"\nqueue = 7\nidle_seconds = 60\nmark = false\nsteps = 2\n'
        'photo_megapixels = 50\n[limits]\nbad_share = 0.2\n[engine]\nprecision = "fp32"\nthreads = 1'
    )
    opened: list[Any] = []
    served: list[Any] = []
    monkeypatch.setattr(Engine, "open", lambda engine: (opened.append(engine.options), 0.0))
    monkeypatch.setattr("edgedrag.studio.serve.serve", lambda runtime, settings, done: served.append(settings))
    result = CliRunner().invoke(studio, ["--config", str(file), "--queue", "9", "--state", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (settings,), (options,) = served, opened
    assert (settings.host, settings.token, settings.queue, settings.idle_seconds) == ("0.0.0.0", TOKEN, 9, 60)
    assert (settings.mark, settings.steps, settings.photo_megapixels) == (False, 2, 50)
    assert settings.limits.bad_share == 0.2 and settings.upload_mb == 32
    assert options.precision == "fp32" and options.threads == 1 and options.bundle == "embedded"


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 20])
def test_a_token_file_without_a_token(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    with pytest.raises(edgedrag.InputError, match="cannot be read"):
        read_token(file)
    file.write_bytes(content)
    with pytest.raises(edgedrag.InputError, match="holds no token"):
        read_token(file)


def test_a_release_is_held_to_what_the_station_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bundle install` and `use` with --config, but for the installing."""
    file = tmp_path / "studio.toml"
    file.write_text(f'idle_seconds = 60\n[bundles]\nkeys = ["{LINE}"]\ntrial = 5\nslower = 1.5\n')
    assert read_settings(file) == {"idle_seconds": 60.0}, "nothing of it is the station's own"
    called: list[Any] = []
    facts = {"name": "x", "version": "1", "bytes": 1, "licence": "none", "key": "1", "engine": "cpu", "golden": {}}
    monkeypatch.setattr(
        "edgedrag.runtime.releases.install.install", lambda *_, **given: (called.append(given), ("x", "1-2", facts))[1]
    )
    monkeypatch.setattr("edgedrag.runtime.releases.switch.use", lambda *given: (called.append(given), Serving(None))[1])
    for arguments in (
        (install, "x", "--use", "--json"),
        (use, "x"),
        (use, "x", "--trial", "7"),
        (use, "x", "--trial", "0"),
    ):
        result = CliRunner().invoke(arguments[0], [*arguments[1:], "--config", str(file)])
        assert result.exit_code == 0, result.output
    assert [key.number for key in called[0]["keys"]] == [parse_key(LINE, "").number]
    assert [given[2] for given in called[1:]] == [Trial(5, 0.5, 1.5)] * 2 + [Trial(7, 0.5, 1.5), None]
    file.write_text("[bundles]\nkey = 1\n")
    result = CliRunner().invoke(use, ["x", "--config", str(file)])
    assert isinstance(result.exception, edgedrag.InputError) and "bundles.key: there is no such" in str(
        result.exception
    )


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    assert json.loads((REPOSITORY / "docs" / "studio.schema.json").read_text()) == SettingsFile.model_json_schema()


def test_the_addresses_to_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_addresses(Settings(state=tmp_path), 8123)
    said = capsys.readouterr().out
    assert said.startswith("visitors: http://127.0.0.1:8123/\nstaff: http://127.0.0.1:8123/staff (the code is the one")
    (tmp_path / "staff-code").touch()
    print_addresses(Settings(state=tmp_path, host="0.0.0.0", token=TOKEN, root_path="/retouch"), 80)
    said = capsys.readouterr().out
    assert "0.0.0.0" not in said and ":80/retouch/staff (the code is in" in said
    assert TOKEN not in said, "stdout is a log here"
    print_addresses(Settings(state=tmp_path, host="::1"), 80)
    assert "http://[::1]:80/" in capsys.readouterr().out

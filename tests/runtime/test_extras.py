"""Extras from the package's metadata, and the command that installs one from where the person is."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

import edgedrag
from edgedrag.runtime import extras
from edgedrag.runtime.extras import install_command, missing_package

METADATA = [
    "numpy>=1.26",
    'onnxruntime>=1.20; extra == "cpu"',
    "onnx>=1.17; extra == 'compare'",
    'edgedrag[compare,cpu]; extra == "export"',
    'torch==2.13.0; extra == "export"',
    'Onnx_IR>=0.1; (sys_platform == "linux" and platform_machine == "x86_64") and extra == "compare"',
    'edgedrag[export]; extra == "test"',
]


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: METADATA)


@pytest.mark.usefixtures("metadata")
def test_extras_hold_what_they_include() -> None:
    assert extras.extras() == {
        "cpu": {"onnxruntime"},
        "compare": {"onnx", "onnx-ir"},
        "export": {"onnxruntime", "onnx", "onnx-ir", "torch"},
        "test": {"onnxruntime", "onnx", "onnx-ir", "torch"},
    }


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize(
    ("module", "asked", "named"),
    [
        ("torch.nn", None, "export"),
        ("onnx", None, "compare"),
        ("onnx", "export", "export"),
        ("onnx_ir", "cpu", "compare"),
    ],
)
def test_a_missing_module_names_the_smallest_extra_or_the_commands_own(
    module: str, asked: str | None, named: str
) -> None:
    error = missing_package(module, asked)
    assert error is not None and error.exit_code == 3 and f"[{named}]" in str(error)


def test_a_module_of_no_extra_is_a_bug() -> None:
    assert missing_package("edgedrag.no_such") is None and missing_package("") is None


@pytest.mark.parametrize(
    ("backend", "extra"),
    [("cpu", "cpu"), ("openvino", "openvino"), ("cuda", "gpu"), ("tensorrt", "tensorrt"), ("tensorrt-rtx", "rtx")],
)
def test_a_named_backend_that_is_not_installed_says_how(
    backend: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(edgedrag.EngineError, match=rf"is not installed; .*\[{extra}\]") as caught:
        edgedrag.open(backend=backend)
    assert caught.value.code == "not-installed" and ("JetPack" in str(caught.value)) == (backend == "tensorrt")


def test_in_a_clone_and_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert install_command("cpu").endswith('pip install ".[cpu]"`')
    monkeypatch.chdir(tmp_path)
    assert install_command("cpu").endswith(f'pip install "{REPOSITORY}[cpu]"`'), "imported from a clone"


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        ({"url": "{clone}", "dir_info": {}}, "{folder}/my clone[cpu]"),
        ({"url": "{clone}.gone", "dir_info": {}}, '".[cpu]"` in a clone of edgedrag'),
        ({"url": "https://host/e.git", "vcs_info": {"vcs": "git"}}, "edgedrag[cpu] @ git+https://host/e.git"),
        ({"url": "https://host/e.whl", "archive_info": {}}, "edgedrag[cpu] @ https://host/e.whl"),
        (None, '".[cpu]"` in a clone of edgedrag'),
    ],
)
def test_installed_from_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, named: str
) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    (clone / "pyproject.toml").write_text('[project]\nname = "edgedrag"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "edgedrag" / "runtime" / "extras.py"))
    text = None if origin is None else json.dumps(origin).replace("{clone}", clone.as_uri())

    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return text

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed())
    assert named.replace("{folder}", str(tmp_path)) in install_command("cpu")


def test_pip_is_the_one_of_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / ".venv" / "bin", tmp_path / "other"):
        folder.mkdir(parents=True)
        (folder / "pip").write_text("#!/bin/sh\n")
        (folder / "pip").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert install_command("cpu").startswith("`.venv/bin/pip install")
    monkeypatch.setenv("PATH", str(tmp_path / ".venv" / "bin"))
    assert install_command("cpu").startswith("`pip install")

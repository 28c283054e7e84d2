"""`import edgedrag` and the command line's help: what they load, and that every name is there when it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module

import pytest
from conftest import REPOSITORY

import edgedrag

SLOW = {"numpy", "cv2", "PIL", "onnxruntime", "openvino", "tensorrt", "fastjsonschema", "asyncio", "http", "subprocess"}


def loaded_by(script: str) -> set[str]:
    """The top-level modules that a new Python has loaded after a script."""
    script += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_neither_its_libraries_nor_its_runtime() -> None:
    assert not loaded_by("import edgedrag; edgedrag.__version__; dir(edgedrag)") & {*SLOW, "click", "hashlib", "shutil"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["drag", "--help"], ["bench", "latency", "--help"]])
def test_the_help_of_commands_loads_no_library_that_only_their_work_needs(arguments: list[str]) -> None:
    script = f"from edgedrag.cli import cli\ncli({arguments}, standalone_mode=False)"
    assert not loaded_by(script) & SLOW


def test_what_is_in_a_bundle_is_shown_without_the_libraries_that_edit() -> None:
    assert not loaded_by("from edgedrag.cli import cli\ncli(['info'], standalone_mode=False)") & {
        "cv2",
        "PIL",
        "onnxruntime",
    }


def test_every_public_name_resolves_in_a_new_process_by_attribute_and_by_import() -> None:
    for use in ("edgedrag.{}", "from edgedrag import {} as name; name", "edgedrag.__dict__.get('{}', edgedrag.{})"):
        names = ";".join(use.replace("{}", name) for name in edgedrag.__all__)
        assert "numpy" in loaded_by(f"import edgedrag;{names}")
    assert "numpy" in loaded_by("from edgedrag import *; open, load_picture, Runtime")


def test_errors_can_be_named_without_loading_libraries() -> None:
    assert not loaded_by("from edgedrag import EdgedragError, InputError") & SLOW


def test_dir_lists_the_public_names_before_any_was_used() -> None:
    script = "import edgedrag; assert {*edgedrag.__all__} <= {*dir(edgedrag)} and 'Photo' not in vars(edgedrag)"
    loaded_by(script)


def test_a_name_is_the_one_of_its_module_and_stays_the_same() -> None:
    session = import_module("edgedrag.runtime.session.runtime")
    assert edgedrag.open is session.open_runtime and edgedrag.Runtime is session.Runtime
    assert edgedrag.open is edgedrag.open


def test_other_names_are_errors_that_name_them() -> None:
    with pytest.raises(AttributeError, match="'edgedrag' has no attribute 'opne'"):
        getattr(edgedrag, "opne")  # noqa: B009
    with pytest.raises(ImportError, match="opne"):
        exec("from edgedrag import opne")


def test_type_checkers_see_each_name_from_the_module_that_it_is_loaded_from() -> None:
    tree = ast.parse((REPOSITORY / "src" / "edgedrag" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: getattr(import_module(str(node.module)), alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name  # elsewhere it is private, as PEP 484 has it for stubs
    }
    seen["open"] = import_module("edgedrag.runtime.session.runtime").open_runtime
    assert sorted(seen) == sorted(edgedrag.__all__)
    assert all(getattr(edgedrag, name) is value for name, value in seen.items())

"""A bundle as a model of Triton: its config against Triton's own schema, its files, and what is refused."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedrag.export.triton import MODEL, config, write_repository
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import BundleError, InputError
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.releases.install import verify


@pytest.mark.parametrize(("backend", "kind"), [("auto", "KIND_CPU"), ("cpu", "KIND_CPU"), ("cuda", "KIND_GPU")])
def test_the_config_is_one_of_tritons_schema(backend: str, kind: str) -> None:
    reason = "tritonclient is not installed: pip install 'tritonclient[grpc]'"
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason=reason)
    from google.protobuf import text_format

    found = text_format.Parse(config("retouch", RuntimeOptions(backend=backend)), schema.ModelConfig())
    assert (found.name, found.backend, found.max_batch_size) == ("retouch", "python", 0)
    assert schema.ModelInstanceGroup.Kind.Name(found.instance_group[0].kind) == kind
    assert found.parameters["backend"].string_value == backend
    assert [each.name for each in found.input if not each.optional] == ["photo", "drags"]
    with pytest.raises(text_format.ParseError):
        text_format.Parse(config("retouch", RuntimeOptions()).replace("dims", "shape"), schema.ModelConfig())


def test_the_model_answers_what_the_config_states() -> None:
    text = config("retouch", RuntimeOptions())
    words = {node.value for node in ast.walk(ast.parse(MODEL.read_text())) if isinstance(node, ast.Constant)}
    stated = [line.split('"')[1] for line in text.splitlines() if line.startswith('  { name: "')]
    assert len(stated) == 10 and set(stated) <= words


def test_a_repository_holds_the_bundle_and_is_written_again(toy: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    for _ in range(2):
        model = write_repository(repository, RuntimeOptions(toy))
        assert sorted(str(p.relative_to(model)) for p in model.rglob("*") if p.parent.name != "bundle") == [
            "1", "1/bundle", "1/model.py", "config.pbtxt",
        ]  # fmt: skip
        copied = open_bundle(model / "1" / "bundle")
        verify(copied)
        assert copied.name == model.name == "toy"
    assert [p.name for p in repository.iterdir()] == ["toy"]


def test_what_is_no_model_of_ours_stays(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "toy").mkdir(parents=True)
    with pytest.raises(InputError, match="not a model that edgedrag wrote"):
        write_repository(tmp_path / "models", RuntimeOptions(toy))
    (toy / "clip.onnx").write_bytes(b"x")
    with pytest.raises(BundleError, match="damaged"):
        write_repository(tmp_path / "other", RuntimeOptions(toy))
    assert not (tmp_path / "other").exists()


def test_the_command(toy: Path, tmp_path: Path, edit_cli: Callable) -> None:
    done = edit_cli("bundle", "triton", toy, "-o", tmp_path / "models", "--name", "retouch", "--backend", "cpu")
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "models" / "retouch"), done.stderr
    assert 'value: { string_value: "cpu" }' in (tmp_path / "models" / "retouch" / "config.pbtxt").read_text()

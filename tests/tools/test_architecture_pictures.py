"""The pictures of docs/architecture.md are those that its lists draw."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from types import ModuleType

import pytest
from conftest import REPOSITORY
from test_structure import arrows, modules

IMAGES = REPOSITORY / "docs" / "images"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = REPOSITORY / "tools" / "architecture_pictures.py"
    spec = importlib.util.spec_from_file_location("architecture_pictures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_committed_pictures_are_what_the_page_draws(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    pictures = script.read_page(page)
    assert {f"architecture_{name}.svg" for name in ("drag", "bundle", "studio")} == set(pictures)
    for name, steps in pictures.items():
        drawn = script.draw(steps, script.read_layers(page))
        assert drawn == (IMAGES / name).read_text(encoding="utf-8"), (
            "run: python tools/architecture_pictures.py -o docs/images"
        )


def test_every_step_is_a_box_inside_the_picture(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    for name, steps in script.read_page(page).items():
        assert [step.number for step in steps] == list(range(1, len(steps) + 1)) and len(steps) > 10
        assert all(step.passes for step in steps if step.number not in (9, len(steps))), name
        root = ElementTree.fromstring((IMAGES / name).read_text(encoding="utf-8"))
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        boxes = [e.attrib for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.attrib.get("class") == "box"]
        assert len(boxes) == len(steps)
        for box in boxes:
            assert float(box["x"]) >= 0 and float(box["x"]) + float(box["width"]) <= width
            assert float(box["y"]) >= 0 and float(box["y"]) + float(box["height"]) <= height


def test_every_folder_of_the_layers_exists(script: ModuleType) -> None:
    layers = script.read_layers(script.PAGE.read_text(encoding="utf-8"))
    assert len(layers) == len(set(layers)) > 15
    assert all((REPOSITORY / layer).is_dir() for layer in layers)


def test_a_module_outside_the_layers_is_named(script: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^elsewhere/module\.py lies in no folder"):
        script.layer_of("elsewhere/module.py", ["runtime", "runtime/drag"])
    assert script.layer_of("runtime/drag/mask.py", ["runtime", "runtime/drag"]) == "runtime/drag"


def test_the_table_of_layers_is_in_the_order_of_imports(script: ModuleType) -> None:
    """Of folders within rooms; files that lie directly in a room are its entrances, or what its folders share."""
    layers = script.read_layers(script.PAGE.read_text(encoding="utf-8"))
    paths = {name: file.relative_to(REPOSITORY).as_posix() for name, file in modules().items()}

    def row(name: str) -> int | None:
        folder = paths[name].rpartition("/")[0]
        inside = "/" in folder and not folder.startswith("src/")
        return layers.index(script.layer_of(paths[name], layers)) if inside else None

    for name, targets in arrows().items():
        own = row(name)
        for target in targets:
            other = row(target)
            assert own is None or other is None or own <= other, f"{name} -> {target}"

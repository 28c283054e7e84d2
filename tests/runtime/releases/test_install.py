"""Bundles installed as releases from everywhere, and refused for one reason each."""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import rewrite_manifest
from minisign import KEY, KEYS, sign
from release_store import flip, installed, made, store, stored, version

from edgedrag.export.golden import FILE, write_golden
from edgedrag.runtime.bundle.installed import read_serving
from edgedrag.runtime.errors import BundleError, EdgedragError, InputError
from edgedrag.runtime.releases.install import install
from edgedrag.runtime.releases.signature import trusted_keys
from edgedrag.runtime.releases.store import releases

__all__ = ["made", "store", "version"]  # fixtures


def pack_tar(folder: Path, inner: str = "") -> Path:
    file = folder.with_name(f"{folder.name}.tar.gz")
    with tarfile.open(file, "w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, f"{inner}{path.name}")
    return file


def pack_zip(folder: Path) -> Path:
    file = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"retouch/{path.name}")
    return file


def test_archives_hold_the_same_as_folders(store: Path, version: Callable[[str], Path]) -> None:
    folder = version("1")
    (folder / "notes.txt").write_text("not in the manifest")
    expected = installed(folder)
    files = stored(store)
    assert not any("notes" in name for name in files)
    for archive in (pack_tar(folder), pack_tar(folder, "./"), pack_tar(folder, "retouch/"), pack_zip(folder)):
        shutil.rmtree(store)
        assert installed(archive) == expected and stored(store) == files


def test_an_address_is_read_by_fsspec(store: Path, version: Callable[[str], Path]) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed; the extra [releases] brings it")
    memory = fsspec.filesystem("memory")
    folder = version("1")
    memory.put(str(folder), "/shop/folder", recursive=True)
    memory.put(str(pack_tar(folder)), "/shop/packed.tar.gz")
    one = install("memory://shop/folder", "one", unsigned=True)[1]
    assert install("memory://shop/packed.tar.gz", "two", unsigned=True)[1] == one
    with pytest.raises(BundleError, match=r"memory://shop/none: has no bundle\.json"):
        install("memory://shop/none", unsigned=True)
    with pytest.raises(InputError, match="cannot be read"):
        install("memory://shop/none.zip", unsigned=True)
    with pytest.raises(InputError, match="cannot be read"):
        install("nosuch://shop/x", unsigned=True)


def test_nothing_of_fsspec_is_imported_for_a_folder(store: Path, version: Callable[[str], Path]) -> None:
    before = "fsspec" in sys.modules
    installed(version("1"))
    assert ("fsspec" in sys.modules) == before


def wrong_golden(folder: Path) -> None:
    """A golden drag of another result than the bundle's."""
    with np.load(folder / FILE) as found:
        golden = dict(found)
    golden["edited"] = 255 - golden["edited"]
    write_golden(folder, golden)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped byte of a graph": (lambda f: flip(f / "points.onnx"), "points.onnx is damaged or was changed"),
    "flipped byte of weights": (lambda f: flip(f / "denoise.onnx.data"), "denoise.onnx.data is damaged"),
    "flipped byte of the golden drag": (lambda f: flip(f / FILE), f"{FILE} is damaged"),
    "missing file": (lambda f: (f / "clip.onnx").unlink(), "clip.onnx is missing"),
    "older format": (lambda f: rewrite_manifest(f, lambda m: m.update(format_version=1)), "bundle format 1"),
    "newer format": (lambda f: rewrite_manifest(f, lambda m: m.update(format_version=9)), "upgrade edgedrag"),
    "no manifest": (lambda f: (f / "bundle.json").unlink(), "has no bundle.json"),
    "not JSON": (lambda f: (f / "bundle.json").write_text("{"), "not JSON"),
    "no golden drag": (lambda f: rewrite_manifest(f, lambda m: m.pop("golden")), "no golden drag"),
    "fails its golden drag": (wrong_golden, "golden drag is at"),
    "name with a path": (
        lambda f: rewrite_manifest(f, lambda m: m["golden"].update(file="../x")),
        "golden.file",
    ),
}


@pytest.mark.parametrize("case", sorted(DAMAGES))
@pytest.mark.parametrize("pack", ["folder", "tar"])
def test_what_is_wrong_is_refused_in_one_sentence_and_leaves_nothing(
    store: Path, version: Callable[[str], Path], case: str, pack: str
) -> None:
    old = installed(version("1"), "toy")
    before, serving = stored(store), read_serving("toy")
    damage, words = DAMAGES[case]
    folder = version("2")
    damage(folder)
    source = folder if pack == "folder" else pack_tar(folder)
    with pytest.raises(EdgedragError, match=words) as refused:
        install(str(source), "toy", unsigned=True)
    assert "\n" not in str(refused.value) and str(source) in str(refused.value)
    assert "partial" not in str(refused.value), "not the name of the copy"
    assert stored(store) == before and read_serving("toy") == serving and releases("toy") == [old]


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04" + b"x" * 40, b"\x1f\x8b" + b"x" * 40])
def test_a_file_that_is_no_archive_is_refused(store: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match="archive"):
        install(str(tmp_path / "file"), unsigned=True)
    assert stored(store) == []


def test_an_archive_cut_anywhere_is_refused(store: Path, version: Callable[[str], Path], tmp_path: Path) -> None:
    for archive in (pack_tar(version("1")), pack_zip(version("2"))):
        data = archive.read_bytes()
        for share in (0.1, 0.5, 0.9):
            (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
            with pytest.raises(EdgedragError):
                install(str(tmp_path / "cut"), unsigned=True)
    assert stored(store) == []


def test_signatures(store: Path, version: Callable[[str], Path]) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed; the extra [releases] brings it")
    keys, folder = trusted_keys([str(KEY)]), version("1")
    with pytest.raises(BundleError, match="is not signed"):
        install(str(folder), keys=keys)
    sign(folder / "bundle.json")
    with pytest.raises(BundleError, match="no public key"):
        install(str(folder))
    with pytest.raises(BundleError, match="none of this station's"):
        install(str(folder), keys=trusted_keys([str(KEYS / "other.pub")]))
    facts = install(str(folder), keys=keys)[2]
    assert facts["key"] == "204778A7C65EFBCE" and facts["licence"] == "none"
    rewrite_manifest(folder, lambda manifest: manifest.update(description="another"))
    before = stored(store)
    with pytest.raises(BundleError, match="not of this file"):
        install(str(folder), keys=keys)
    assert stored(store) == before

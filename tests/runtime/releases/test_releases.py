"""Bundles as releases: installed from everywhere, refused for one reason each, switched, taken back, kept few."""

from __future__ import annotations

import json
import os
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
from toy_bundle import write_toy_bundle

import edgedrag
from edgedrag.export.golden import FILE, add_golden, write_golden
from edgedrag.runtime.bundle.installed import SERVING, Trial, read_serving
from edgedrag.runtime.bundle.manifest import find_bundle, open_bundle
from edgedrag.runtime.errors import BundleError, EdgedragError, InputError
from edgedrag.runtime.files import lock
from edgedrag.runtime.releases.install import install
from edgedrag.runtime.releases.signature import trusted_keys
from edgedrag.runtime.releases.store import LOCK, list_releases, releases
from edgedrag.runtime.releases.switch import pass_trial, rollback, use


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_toy_bundle(tmp_path_factory.mktemp("made") / "toy")
    add_golden(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDRAG_BUNDLES", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def version(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(number: str) -> Path:
        folder = shutil.copytree(made, tmp_path / f"toy-{number}")
        rewrite_manifest(folder, lambda manifest: manifest.update(version=number))
        return folder

    return copy


def installed(folder: Path, name: str | None = None) -> str:
    return install(str(folder), name, unsigned=True)[1]


def stored(store: Path) -> list[str]:
    """All that lies in the store, but for the lock."""
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.name != LOCK)


def test_a_name_is_used_as_a_path_before(store: Path, version: Callable[[str], Path]) -> None:
    release = installed(version("1"), "shop")
    assert read_serving("shop") is not None, "nothing served before, so the first one does"
    assert find_bundle("shop") == store / "shop" / release
    edit = edgedrag.open("shop").load(np.full((64, 64, 3), 90, np.uint8)).drag([((20, 20), (30, 30))])
    assert edit.image.shape == (64, 64, 3)
    with pytest.raises(BundleError, match="installed: shop"):
        find_bundle("none")


def test_an_installed_name_comes_before_a_shipped_one_when_it_is_chosen(
    store: Path, version: Callable[[str], Path]
) -> None:
    shipped = find_bundle("embedded")
    release = installed(version("1"), "embedded")
    assert find_bundle("embedded") == shipped
    use("embedded")
    assert find_bundle("embedded") == store / "embedded" / release
    assert rollback("embedded").release is None and find_bundle("embedded") == shipped
    use("embedded")
    use("embedded", "shipped")
    assert find_bundle("embedded") == shipped


def test_the_shipped_bundle_is_used_where_nothing_is_installed(store: Path) -> None:
    assert use("embedded", "shipped").release is None and find_bundle("embedded").parent.name == "bundles"


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


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


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


def test_use_and_rollback(store: Path, version: Callable[[str], Path]) -> None:
    one = installed(version("1"))
    two = installed(version("2"))
    assert open_bundle("toy").manifest["version"] == "1", "installing does not switch"
    trial = Trial(5, 0.2, 3.0)
    assert use("toy", trial=trial).release == two and open_bundle("toy").manifest["version"] == "2"
    assert read_serving("toy").trial == trial
    assert [(each.release, each.state) for each in list_releases()] == [(two, "on trial"), (one, "before")]
    pass_trial("toy", one)
    assert read_serving("toy").trial == trial, "of another release"
    pass_trial("toy", two)
    assert read_serving("toy").trial is None
    assert rollback("toy", "slow", only=one).release == two, "another one serves meanwhile"
    assert rollback("toy", "slow", only=two).release == one and read_serving("toy").rolled_back == f"{two}: slow"
    with pytest.raises(InputError, match="nothing served before"):
        rollback("toy")
    assert use("toy", two).release == two
    for wrong in (lambda: use("toy", "3"), lambda: use("none"), lambda: rollback("none"), lambda: use("../x")):
        with pytest.raises(InputError):
            wrong()


def test_a_release_that_was_damaged_since_is_not_switched_to(store: Path, version: Callable[[str], Path]) -> None:
    one, two = installed(version("1")), installed(version("2"))
    flip(store / "toy" / two / "points.onnx")
    with pytest.raises(BundleError, match="damaged"):
        use("toy", two)
    assert read_serving("toy").release == one


def test_few_releases_are_kept(store: Path, version: Callable[[str], Path]) -> None:
    for number in range(6):
        release = installed(version(str(number)))
        use("toy")
        kept = releases("toy")
        assert kept[0] == release == read_serving("toy").release and len(kept) <= 3
        assert {each for each in read_serving("toy").before} <= set(kept)
    for number in range(6, 9):
        installed(version(str(number)))
    assert len(releases("toy")) == 4, "and the newest that was not switched to"


def test_the_same_bundle_again_is_the_same_release(store: Path, version: Callable[[str], Path]) -> None:
    folder = version("1")
    one = installed(folder)
    flip(store / "toy" / one / "points.onnx")
    assert installed(folder) == one and releases("toy") == [one]
    use("toy", one)


def test_one_process_changes_it_at_a_time(store: Path, version: Callable[[str], Path]) -> None:
    installed(version("1"))
    descriptor = os.open(store / LOCK, os.O_RDWR)
    try:
        assert lock(descriptor)
        with pytest.raises(InputError, match="another process"):
            use("toy")
    finally:
        os.close(descriptor)
    use("toy")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"release": "../../etc"}', '{"release": 3, "before": []}', "\0" * 64])
def test_a_damaged_state_is_said_and_mended_by_use(store: Path, version: Callable[[str], Path], text: str) -> None:
    one = installed(version("1"))
    (store / "toy" / SERVING).write_text(text)
    with pytest.raises(BundleError, match="edgedrag bundle use"):
        find_bundle("toy")
    assert use("toy").release == one and find_bundle("toy").name == one


def test_a_release_that_is_gone_is_said(store: Path, version: Callable[[str], Path]) -> None:
    one = installed(version("1"))
    two = installed(version("2"))
    use("toy", two)
    shutil.rmtree(store / "toy" / two)
    with pytest.raises(BundleError, match="edgedrag bundle rollback toy"):
        find_bundle("toy")
    assert rollback("toy").release == one


@pytest.mark.slow
def test_the_commands(store: Path, version: Callable[[str], Path], edit_cli: Callable) -> None:
    done = edit_cli("bundle", "install", version("1"), "--unsigned", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["installed_as"] == "toy" and json.loads(done.stdout)["golden"]["psnr_db"] > 45
    done = edit_cli("bundle", "install", version("2"), "--unsigned", "--use")
    assert done.returncode == 0 and "licence: none" in done.stdout
    listed = json.loads(edit_cli("bundle", "list", "--json").stdout)["releases"]
    assert [(row["version"], row["state"]) for row in listed] == [("2", "on trial"), ("1", "before")]
    done = edit_cli("bundle", "rollback", "toy", "--json")
    assert json.loads(done.stdout)["release"].startswith("1-")
    done = edit_cli("bundle", "install", version("3"))
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1 and "--unsigned" in done.stderr
    assert edit_cli("bundle", "rollback", "toy").returncode == 2

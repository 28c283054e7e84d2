"""Releases of bundles: used by name, switched, taken back, kept few."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from release_store import flip, installed, made, store, version

import edgedrag
from edgedrag.runtime.bundle.installed import SERVING, Trial, read_serving
from edgedrag.runtime.bundle.manifest import find_bundle, open_bundle
from edgedrag.runtime.errors import BundleError, InputError
from edgedrag.runtime.files import lock
from edgedrag.runtime.releases.store import LOCK, list_releases, releases
from edgedrag.runtime.releases.switch import pass_trial, rollback, use

__all__ = ["made", "store", "version"]  # fixtures


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

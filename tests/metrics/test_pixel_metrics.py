"""Pixel metrics, on pictures with known figures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.benchmarks.quality.tables import ratio
from edgedrag.metrics.pixels import (
    SSIM_C1,
    SSIM_C2,
    error_outside_mask,
    gradient_energy,
    luminance,
    psnr_in_mask,
    ssim_in_mask,
)

MASK = np.zeros((64, 80), bool)
MASK[16:48, 20:60] = True


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 200, (64, 80, 3), dtype=np.uint8)


def test_psnr_of_a_known_error(picture: np.ndarray) -> None:
    assert psnr_in_mask(picture + 10, picture, MASK) == pytest.approx(20 * np.log10(255 / 10), abs=1e-6)
    outside = np.where(MASK[..., None], picture, 0)
    assert psnr_in_mask(outside, picture, MASK) == psnr_in_mask(picture, picture, MASK) > 60


def test_ssim_is_1_for_equals_and_falls_with_noise(picture: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(0, 1, picture.shape)
    noisy = [np.clip(picture + sigma * noise, 0, 255).astype(np.uint8) for sigma in (5, 20)]
    assert ssim_in_mask(picture, picture, MASK) == pytest.approx(1, abs=1e-5)
    assert 0.999 > ssim_in_mask(noisy[0], picture, MASK) > ssim_in_mask(noisy[1], picture, MASK)


def test_ssim_at_a_pixel_is_the_published_formula(picture: np.ndarray) -> None:
    other = cv2.GaussianBlur(picture, (0, 0), 1.0)
    one = np.zeros_like(MASK)
    one[30, 40] = True
    d = np.arange(-5, 6)
    weight = np.exp(-(d[:, None] ** 2 + d[None] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    a, b = (luminance(p)[25:36, 35:46].astype(np.float64) for p in (picture, other))
    mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
    var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
    covariance = (weight * (a - mean_a) * (b - mean_b)).sum()
    expected = (2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)
    expected /= (mean_a**2 + mean_b**2 + SSIM_C1) * (var_a + var_b + SSIM_C2)
    assert ssim_in_mask(picture, other, one) == pytest.approx(expected, abs=1e-4)


def test_gradient_energy_of_a_ramp_and_of_blur(picture: np.ndarray) -> None:
    ramp = np.broadcast_to((3 * np.arange(80))[None, :, None], (64, 80, 3)).astype(np.uint8)
    assert gradient_energy(ramp, MASK) == pytest.approx(9 * MASK.sum(), rel=1e-4)
    assert gradient_energy(ramp.swapaxes(0, 1), MASK.T) == pytest.approx(9 * MASK.sum(), rel=1e-4)
    assert gradient_energy(cv2.GaussianBlur(picture, (0, 0), 1.0), MASK) < 0.3 * gradient_energy(picture, MASK)
    assert gradient_energy(picture, np.zeros_like(MASK)) == 0


def test_flat_pictures_do_not_explode_a_ratio() -> None:
    assert ratio([(50.0, 100.0), (1.0, 0.0)]) == 0.51
    assert ratio([(1.0, 0.0)]) is None


def test_error_outside_counts_only_there(picture: np.ndarray) -> None:
    inside = np.where(MASK[..., None], 0, picture).astype(np.uint8)
    assert error_outside_mask(inside, picture, MASK) == 0
    inside[0, 0] = picture[0, 0] + 7
    assert error_outside_mask(inside, picture, MASK) == 7
    assert error_outside_mask(inside, picture, np.ones_like(MASK)) == 0

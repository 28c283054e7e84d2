"""Pixel metrics: PSNR, SSIM, gradient energy, error outside the mask.

Pictures are uint8 RGB [H, W, 3], masks and regions bool [H, W].
"""

from __future__ import annotations

import cv2
import numpy as np

SSIM_WINDOW, SSIM_SIGMA = (11, 11), 1.5
SSIM_C1, SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def luminance(image: np.ndarray) -> np.ndarray:
    """Float32 [H, W], 0..255."""
    return cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)


def psnr_in_mask(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Peak signal-to-noise ratio over the mask, dB; at most 68."""
    error = ((image[mask].astype(np.float64) - truth[mask]) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def ssim_in_mask(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004) of the luminance, averaged over the mask.

    Windows reach 5 pixels around each pixel, so `image` should equal the truth outside the mask.
    """

    def local_mean(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, SSIM_WINDOW, SSIM_SIGMA)

    a, b = luminance(image), luminance(truth)
    mean_a, mean_b = local_mean(a), local_mean(b)
    variance_a, variance_b = local_mean(a * a) - mean_a**2, local_mean(b * b) - mean_b**2
    covariance = local_mean(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)
    similarity /= (mean_a**2 + mean_b**2 + SSIM_C1) * (variance_a + variance_b + SSIM_C2)
    return float(similarity[mask].mean())


def gradient_energy(image: np.ndarray, region: np.ndarray) -> float:
    """The squared gradient of the luminance (differences to the next pixel), summed over a region.

    Blur lowers it, noise and seams raise it; two pictures are compared by their ratio.
    """
    plane = luminance(image)
    across, down = np.diff(plane, axis=1, append=plane[:, -1:]), np.diff(plane, axis=0, append=plane[-1:])
    return float((across**2 + down**2)[region].sum(dtype=np.float64))


def error_outside_mask(image: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> int:
    """The largest difference from the photo outside the mask, grey levels."""
    return int(np.abs(image[~mask].astype(int) - photo[~mask]).max(initial=0))

"""The guided filter: a map at low resolution, refined to the edges of the picture that it belongs to.

He, Sun and Tang, Guided Image Filtering (PAMI 2013), with a colour guide; as in Fast Guided Filter (He and Sun, 2015)
the linear coefficients are found at low resolution and applied to the guide's native pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 6  # pixels of the low resolution
EPSILON = 3e-4  # added to variances of colours in 0..1; smaller ones follow fainter edges


class GuidedFilter:
    """The part of the filter that depends on the guide alone: uint8 RGB [h, w, 3] at low resolution."""

    def __init__(self, guide: np.ndarray):
        colour = guide.astype(np.float32) / 255
        self._planes, self._means = cv2.split(colour), cv2.split(_box_mean(colour))
        self._inverse = self._inverse_covariance()

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """For a map float32 [h, w]: a in 0..2 and b in 3, float32 [h, w, 4]; the refined map is a . colour + b."""
        *products, mean = cv2.split(_box_mean(cv2.merge([*(plane * values for plane in self._planes), values])))
        r, g, b = (product - of_plane * mean for product, of_plane in zip(products, self._means))
        rr, rg, rb, gg, gb, bb = self._inverse
        slope = [rr * r + rg * g + rb * b, rg * r + gg * g + gb * b, rb * r + gb * g + bb * b]
        offset = mean - sum(s * m for s, m in zip(slope, self._means))
        return _box_mean(cv2.merge([*slope, offset]))

    def _inverse_covariance(self) -> list[np.ndarray]:
        """Of the colours around each pixel: rr, rg, rb, gg, gb, bb of the inverse, each [h, w]."""
        planes, means = self._planes, self._means

        def covariance(i: int, j: int) -> np.ndarray:
            return _box_mean(planes[i] * planes[j]) - means[i] * means[j] + np.float32(EPSILON if i == j else 0)

        rr, rg, rb = (covariance(0, k) for k in range(3))
        gg, gb, bb = covariance(1, 1), covariance(1, 2), covariance(2, 2)
        cofactors = [
            gg * bb - gb * gb,
            gb * rb - rg * bb,
            rg * gb - gg * rb,
            rr * bb - rb * rb,
            rb * rg - rr * gb,
            rr * gg - rg * rg,
        ]
        determinant = rr * cofactors[0] + rg * cofactors[1] + rb * cofactors[2]
        return [c / determinant for c in cofactors]


def apply_coefficients(colour: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The refined map float32 [h, w] of colours [h, w, 3], uint8, from coefficients [h, w, 4] of the same size."""
    products = cv2.multiply(coefficients[..., :3], colour, scale=1 / 255, dtype=cv2.CV_32F)
    return cv2.transform(products, np.ones((1, 3), np.float32)).reshape(colour.shape[:2]) + coefficients[..., 3]


def _box_mean(values: np.ndarray) -> np.ndarray:
    """Means over the square of RADIUS around each pixel, float32; at the border of what there is inside."""
    return cv2.blur(values, (2 * RADIUS + 1, 2 * RADIUS + 1), borderType=cv2.BORDER_REFLECT)

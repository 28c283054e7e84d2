"""Where what is held ends, by the colours on both sides of its outline.

A network sees a thing in few pixels, and says of its outline only about where it is. Here the pixels near it are
weighed by two Gaussians, fitted around each place to what is held and to what is not, as region-based active contours
do (Lankton and Tannenbaum, Localizing Region-Based Active Contours, IEEE Transactions on Image Processing 2008):

    logit(held) <- logit(held) + TRUST s d        d = (e_outside - e_inside) / 2        e = |I - m|^2 / v + 3 log v

I is a pixel's colour, m and v mean and variance of the colours of one side, and s how well d tells the two sides apart:
where both look alike, the outline stays where it was. d is a quadratic function of the colour, whose coefficients
change slowly: they are found at half the size (as in Fast Guided Filter, He and Sun 2015).
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import box_of

NEAR = 12  # pixels around an outline that are looked at, and as far again for the colours of its sides
SURE = 0.5, 0.9  # what is held from which on a pixel counts to its side; counts wholly
LEAST_VARIANCE = 12.0  # of a side's colours, CIELAB: noise
LEAST_SEEN = 0.02  # of what lies around a place must be of each side
MOST = 3.0  # of the evidence d of one pixel, to either side
TRUST = 0.5  # in the evidence, since neighbours say the same
APART = 4.0  # difference of d between the sides from which on it tells them apart
KNOWN = 0.02, 0.98  # range in which what is held is taken to be before the colours are seen
SMOOTH, STEEP = 1.5, 1.5  # Gaussian blur of the outline, and the factor that makes it as steep again


def matted(picture: np.ndarray, held: np.ndarray) -> np.ndarray:
    """What is held of a picture, with its outline moved to where the colours change.

    Args:
        picture: uint8 RGB [H, W, 3]. held: float32 [H, W] in 0..1.

    Returns:
        float32 [H, W] in 0..1, the same more than NEAR pixels away from the outline.
    """
    inside = cv2.blur((held > 0.5).astype(np.float32), (2 * NEAR + 1,) * 2, borderType=cv2.BORDER_REPLICATE)
    near = (inside > 1e-4) & (inside < 1 - 1e-4)
    if not near.any():
        return held
    box = box_of(cv2.dilate(near.view(np.uint8), np.ones((2 * NEAR + 1,) * 2, np.uint8)) > 0)
    colour = cv2.cvtColor(picture[box].astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB)
    terms = cv2.merge([*cv2.split(colour), _dot(colour, colour)])  # L, a, b and their squares' sum
    half = tuple(max(1, n // 2) for n in terms.shape[1::-1])
    small_terms, small = (cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in (terms, held[box]))
    form = _evidence(small_terms, _weighed(small, small_terms, *_evidence(small_terms, small)))
    size = terms.shape[1::-1]
    found = _weighed(held[box], terms, *(cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in form))
    found = np.where(near[box], found, held[box])
    smooth = np.clip((cv2.GaussianBlur(found, (0, 0), SMOOTH) - 0.5) * STEEP + 0.5, 0, 1)
    result = held.copy()
    np.copyto(result[box], smooth, where=near[box])
    return result


def _weighed(held: np.ndarray, terms: np.ndarray, factors: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """What is held, [h, w], after the colours were seen; see `_evidence`."""
    before = np.clip(held, *KNOWN)
    evidence = np.clip(_dot(terms, factors) + rest[..., 0], -MOST, MOST) * rest[..., 1]
    return 1 / (1 + (1 / before - 1) * np.exp(np.float32(-TRUST) * evidence))


def _evidence(terms: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """d as a function of `terms`: the factor of each term, float32 [h, w, 4], and [h, w, 2], a constant and s.

    Args:
        terms: float32 [h, w, 4]. held: float32 [h, w] in 0..1.
    """
    forms, constants, means, seen = [], [], [], np.ones(held.shape, bool)
    for side in (held, 1 - held):
        weight = np.clip((side - SURE[0]) * np.float32(1 / (SURE[1] - SURE[0])), 0, 1)
        share = _around(weight)
        mean = _around(terms * weight[..., None]) / (share + np.float32(1e-4))[..., None]
        colour = np.ascontiguousarray(mean[..., :3])
        squared = _dot(colour, colour)
        precision = 3 / np.maximum(mean[..., 3] - squared, 3 * LEAST_VARIANCE)
        forms.append(cv2.merge([*cv2.split(colour * (-2 * precision)[..., None]), precision]))
        constants.append(squared * precision - 3 * np.log(precision))
        means.append(mean)
        seen &= share > LEAST_SEEN
    half = np.float32(0.5) * seen
    form = (forms[1] - forms[0]) * half[..., None]
    trust = np.clip(_dot(means[0] - means[1], form) * np.float32(1 / APART), 0, 1)
    return form, cv2.merge([(constants[1] - constants[0]) * half, trust])


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The sums of products over the last axis, float32 [h, w]; NumPy takes ten times as long."""
    product = cv2.multiply(one, other)
    return cv2.transform(product, np.ones((1, product.shape[-1]), np.float32))


def _around(values: np.ndarray) -> np.ndarray:
    """Means around each pixel at half the size, float32."""
    return cv2.blur(values, (NEAR + 1, NEAR + 1), borderType=cv2.BORDER_REFLECT)

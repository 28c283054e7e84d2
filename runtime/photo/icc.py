"""ICC profiles: whether one can be used, and one that describes primaries and a transfer function.

ICC.1:2022. Profiles that are made here are matrix profiles of version 4.3 with parametric curves.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np

Curve = tuple[float, ...]  # parameters of a parametric curve: a gamma alone, or g a b c d of type 3
Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
D50 = (0.9642, 1.0, 0.8249)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def fault(icc: bytes, grey: bool) -> str | None:
    """Why a profile cannot be used for pixels without or with colour channels; None where it can.

    A profile for RGB is usable on grey pixels: they are RGB of equal values.
    """
    if len(icc) < 132 or icc[36:40] != b"acsp" or int.from_bytes(icc[:4], "big") > len(icc):
        return "is damaged"
    space = icc[16:20]
    if space not in (b"RGB ", b"GRAY"):
        return f"is for {space.decode('latin-1').strip()} values"
    if space == b"GRAY" and not grey:
        return "is for grey values"
    from PIL import ImageCms  # here: few photos have a profile

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB" if space == b"RGB " else "L", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return "is damaged"
    return None


def matrix_profile(name: str, chromaticities: Chromaticities, curve: Curve, grey: bool) -> bytes:
    """A display profile of primaries and a transfer function from stored values to light.

    Raises:
        ValueError: chromaticities that are those of no display.
    """
    white, columns = _colorants(chromaticities)
    adapt = _adaptation(white)
    adapted = adapt @ columns
    tags = {b"desc": _text(name), b"cprt": _text("No copyright"), b"wtpt": _xyz(D50)}
    tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adapt.ravel().tolist())
    trc = _curve(curve)
    if grey:
        tags[b"kTRC"] = trc
    else:
        for index, letter in enumerate("rgb"):
            tags[f"{letter}XYZ".encode()] = _xyz(adapted[:, index].tolist())
            tags[f"{letter}TRC".encode()] = trc
    return _profile(tags, grey)


def _colorants(chromaticities: Chromaticities) -> tuple[np.ndarray, np.ndarray]:
    """XYZ of white, and of the three primaries, in columns, such that their sum is white."""
    xy = np.array(chromaticities, np.float64).reshape(4, 2)
    if not np.isfinite(xy).all() or (xy[:, 1] <= 0).any() or (xy < 0).any() or (xy > 1).any():
        raise ValueError("chromaticities out of range")
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    primaries = xyz[:, 1:]
    if np.linalg.cond(primaries) > 1e4:
        raise ValueError("primaries on one line")
    return xyz[:, 0], primaries * np.linalg.solve(primaries, xyz[:, 0])


def _adaptation(white: np.ndarray) -> np.ndarray:
    """The linear Bradford adaptation from a white to D50 (ICC.1:2022, annex E)."""
    cones = BRADFORD @ np.array(D50) / (BRADFORD @ white)
    adapted: np.ndarray = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD
    return adapted


def _fixed(values: Sequence[float]) -> bytes:
    numbers = [round(value * 65536) for value in values]
    if any(not -(2**31) <= number < 2**31 for number in numbers):
        raise ValueError("a value out of range")
    return struct.pack(f">{len(numbers)}i", *numbers)


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _curve(curve: Curve) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", 0 if len(curve) == 1 else 3, 0) + _fixed(curve)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _profile(tags: dict[bytes, bytes], grey: bool) -> bytes:
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    size = start + len(body)
    space = b"GRAY" if grey else b"RGB "
    header = struct.pack(">I4xI4s4s4s12x4s", size, 0x04300000, b"mntr", space, b"XYZ ", b"acsp")
    header += struct.pack(">4xI8x8xI", 0, 0) + _fixed(D50)
    return header.ljust(128, b"\0") + table + body

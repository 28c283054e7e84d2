"""What colour a PNG's chunks say that pixels have, for formats that hold it in an ICC profile alone.

PNG (Third Edition), W3C, 4.3: cICP counts before iCCP, iCCP before sRGB, and sRGB before gAMA and cHRM. Code points
of cICP: ITU-T H.273, tables 2 and 3.
"""

from __future__ import annotations

import struct

from edgedrag.runtime.photo.icc import SRGB_CURVE, Chromaticities, Curve, matrix_profile

D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", SRGB),
    4: ("BT.470 M", (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("BT.601 625", (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("BT.601 525", (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("BT.601 525", (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    9: ("BT.2020", (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
}
BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
CURVES: dict[int, Curve] = {
    1: BT709_CURVE,
    4: (2.2,),
    5: (2.8,),
    6: BT709_CURVE,
    8: (1.0,),
    13: SRGB_CURVE,
    14: BT709_CURVE,
    15: BT709_CURVE,
}
SRGB_CODES = (1, 13)
SRGB_GAMMA = 45455  # of gAMA, 1 / 2.2 times 100000: what sRGB files have


def profile_of(
    chunks: tuple[tuple[bytes, bytes], ...], icc: bytes | None, grey: bool
) -> tuple[bytes | None, str | None]:
    """The ICC profile that says the same as a PNG's colour chunks and profile.

    Returns:
        The profile, None where it is sRGB, and what cannot be said in one, None where nothing is lost.
    """
    found = dict(chunks)
    cicp = found.get(b"cICP")
    if cicp is not None:
        made, loss = _of_codes(cicp, grey)
        return (made, None) if loss is None else (icc, loss)
    if icc is not None or b"sRGB" in found:
        return icc, None
    gamma = struct.unpack(">I", found[b"gAMA"])[0] if b"gAMA" in found else SRGB_GAMMA
    chromaticities = SRGB
    if b"cHRM" in found:
        chromaticities = tuple(value / 1e5 for value in struct.unpack(">8I", found[b"cHRM"]))
    near = all(abs(a - b) < 0.001 for a, b in zip(chromaticities, SRGB))
    if near and abs(gamma - SRGB_GAMMA) < 50:
        return None, None
    curve = (1e5 / max(gamma, 1),) if b"gAMA" in found else SRGB_CURVE
    try:
        return matrix_profile("PNG gAMA and cHRM", chromaticities, curve, grey), None
    except ValueError:
        return None, "the colour of its gAMA and cHRM chunks"


def _of_codes(cicp: bytes, grey: bool) -> tuple[bytes | None, str | None]:
    """The profile of a cICP chunk, None where it is sRGB, and what is lost."""
    primaries, transfer, matrix, full = cicp
    if (primaries, transfer) == SRGB_CODES and not matrix and full == 1:
        return None, None
    if matrix or full != 1 or primaries not in PRIMARIES or transfer not in CURVES:
        return None, f"the colour of its cICP chunk ({primaries}, {transfer}, {matrix}, {full})"
    name, chromaticities = PRIMARIES[primaries]
    return matrix_profile(name, chromaticities, CURVES[transfer], grey), None

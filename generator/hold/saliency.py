"""Offline labels of salient things in stills, by U2-Netp (Qin et al. 2020, arXiv 2005.09007), a published ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.errors import InputError

INPUT_SIDE = 320
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
INSIDE, OUTSIDE = 0.7, 0.15  # what the network says of a thing and of the ground
LEAST_SURE = 0.8  # share of what is not ground that must be clearly inside
AREA = (0.01, 0.5)  # least and largest share of a picture


@dataclass(frozen=True)
class SalientThing:
    """A thing in a still: `inside` and `around` are bool [H, W]; what is in neither may be either."""

    inside: np.ndarray
    around: np.ndarray


class SaliencyNetwork:
    """U2-Netp in ONNX Runtime on one core."""

    def __init__(self, file: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common base for its errors
            raise InputError(f"{file}: not U2-Netp as an ONNX file ({error})") from None

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """How salient each pixel of a picture (uint8 RGB) is, float32 [H, W] in 0..1."""
        small = cv2.resize(picture, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        scaled = (small / max(1.0, float(small.max())) - MEAN) / DEVIATION
        name = self.session.get_inputs()[0].name
        found = self.session.run(None, {name: scaled.transpose(2, 0, 1)[None].astype(np.float32)})[0][0, 0]
        found = (found - found.min()) / max(1e-6, float(found.max() - found.min()))
        return cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def salient_things(saliency: np.ndarray) -> list[SalientThing]:
    """The things that a map of saliency is sure of, largest first; none where it is not."""
    ground = saliency < OUTSIDE
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((~ground).astype(np.uint8))
    things = []
    for piece in sorted(range(1, count), key=lambda i: -stats[i, cv2.CC_STAT_AREA]):
        area = stats[piece, cv2.CC_STAT_AREA] / saliency.size
        inside = (pieces == piece) & (saliency > INSIDE)
        if AREA[0] < area < AREA[1] and inside.sum() > LEAST_SURE * stats[piece, cv2.CC_STAT_AREA]:
            things.append(SalientThing(inside, ground | ((pieces != piece) & ~ground)))
    return things

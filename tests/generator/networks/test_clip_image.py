"""What the image encoder gets, in the runtime and in training, against transformers' own image processor."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from conftest import EXAMPLES
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from edgedrag.export.lightningdrag.manifest import INPUTS, WINDOWS
from edgedrag.generator.networks.lightningdrag.generator import as_clip_image
from edgedrag.runtime.drag.inputs import PhotoInputs
from edgedrag.runtime.photo.picture import load_picture

WINDOW_SIZES = sorted({tuple(size) for sizes in WINDOWS.values() for size in sizes})


def window(height: int, width: int) -> np.ndarray:
    return cv2.resize(load_picture(EXAMPLES / "chelsea.png").pixels, (width, height))


@pytest.mark.parametrize("size", [*WINDOW_SIZES, (192, 448)])
def test_the_runtime_and_training_prepare_as_clip_does(size: tuple[int, int]) -> None:
    picture = window(*size)
    processed = CLIPImageProcessorPil()(Image.fromarray(picture), return_tensors="np")["pixel_values"]
    found = PhotoInputs(INPUTS, picture).clip_image
    np.testing.assert_allclose(found, np.asarray(processed), atol=1e-5)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    # Training works on numbers that were not rounded to 8 bits: a level is 1/255/0.26 here.
    np.testing.assert_allclose(as_clip_image(tensor).numpy(), found, atol=2.5 / 255 / 0.26)


def test_bundles_without_the_field_stretch_the_window() -> None:
    picture = window(256, 320)
    old = {**INPUTS, "clip_image": {k: v for k, v in INPUTS["clip_image"].items() if k != "fit"}}
    found = PhotoInputs(old, picture).clip_image
    small = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA) / np.float32(255)
    expected = (small - INPUTS["clip_image"]["mean"]) / INPUTS["clip_image"]["std"]
    np.testing.assert_allclose(found[0], expected.transpose(2, 0, 1), atol=1e-5)

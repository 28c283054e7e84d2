"""A bundle of tiny graphs with the structure that LightningDrag needs, written with the export's own writer.

Two graphs in `reference` joined by name, index maps and a masked image in `drag`, a guidance pair and
a single branch that share external weights in `denoise`, no flow. Every number in it can be worked
out by hand: the prediction is 0.5 * latent on the single branch and 0.5 * guidance * latent on the pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, parser

from edgedrag.export.bundle_writer import file_variant, new_bundle, write_manifest
from edgedrag.runtime.bundle.manifest import FORMAT_VERSION

TENSORS: dict[str, list[int | str]] = {
    "image": [1, 3, "H", "W"],
    "clip_image": [1, 3, 32, 32],
    "masked_image": [1, 3, "H", "W"],
    "handle_map": [1, 1, "H", "W"],
    "target_map": [1, 1, "H", "W"],
    "noise": [1, 3, "H/8", "W/8"],
    "coefficients": [3],
    "timestep": [1],
    "guidance": [1],
    "source_latent": [1, 3, "H/8", "W/8"],
    "ip": [1, 3, 1, 1],
    "k_ref.0": [1, 3, "H/8", "W/8"],
    "masked_latent": [1, 3, "H/8", "W/8"],
    "e_t.0": [1, 1, "H/8", "W/8"],
    "latent": [1, 3, "H/8", "W/8"],
    "result": [1, 3, "H", "W"],
}

POOL = "AveragePool <kernel_shape = [8, 8], strides = [8, 8]>"
LARGEST = "MaxPool <kernel_shape = [8, 8], strides = [8, 8]>"
STEP = """
    i0 = Constant <value_ints = [0]> ()  i1 = Constant <value_ints = [1]> ()  i2 = Constant <value_ints = [2]> ()
    a = Gather <axis = 0> (coefficients, i0)
    b = Gather <axis = 0> (coefficients, i1)
    c = Gather <axis = 0> (coefficients, i2)
    prediction = Mul (latent, {scale})
    ax = Mul (a, latent)  bp = Mul (b, prediction)  cn = Mul (c, noise)
    axbp = Add (ax, bp)
    latent_next = Add (axbp, cn)
"""

GRAPHS: list[tuple[str, str, list[str], list[str], str]] = [
    ("reference", "vae_encode", ["image"], ["source_latent"], f"source_latent = {POOL} (image)"),
    ("reference", "clip", ["clip_image"], ["ip"], "ip = GlobalAveragePool (clip_image)"),
    ("reference", "appearance", ["source_latent", "ip"], ["k_ref.0"], "k_ref.0 = Add (source_latent, ip)"),
    ("drag", "masked_encode", ["masked_image"], ["masked_latent"], f"masked_latent = {POOL} (masked_image)"),
    (
        "drag",
        "points",
        ["handle_map", "target_map"],
        ["e_t.0"],
        f"h = {LARGEST} (handle_map)  t = {LARGEST} (target_map)  e_t.0 = Sub (t, h)",
    ),
    (
        "drag",
        "start",
        ["source_latent", "noise", "coefficients"],
        ["latent"],
        """
        i0 = Constant <value_ints = [0]> ()  i2 = Constant <value_ints = [2]> ()
        a = Gather <axis = 0> (coefficients, i0)  c = Gather <axis = 0> (coefficients, i2)
        ax = Mul (a, source_latent)  cn = Mul (c, noise)
        latent = Add (ax, cn)
        """,
    ),
    (
        "decode",
        "decode",
        ["latent"],
        ["result"],
        """
        scales = Constant <value_floats = [1.0, 1.0, 8.0, 8.0]> ()
        large = Resize <mode = "nearest"> (latent, , scales)
        low = Constant <value_float = -1.0> ()  high = Constant <value_float = 1.0> ()
        result = Clip (large, low, high)
        """,
    ),
]
DENOISE_INPUTS = ["latent", "masked_latent", "k_ref.0", "e_t.0", "coefficients", "timestep", "guidance", "noise"]


def _save(file: Path, inputs: list[str], outputs: list[str], body: str) -> None:
    body = body.replace("k_ref.0", "k_ref_0").replace("e_t.0", "e_t_0")  # the text form takes no dots

    def declared(names: list[str]) -> str:
        dims = {n: ",".join(str(d).replace("/", "_") for d in TENSORS[n.removesuffix("_next")]) for n in names}
        return ", ".join(f"float[{dims[n]}] {n}" for n in names).replace("k_ref.0", "k_ref_0").replace("e_t.0", "e_t_0")

    text = f'<ir_version: 8, opset_import: ["" : 18]> toy ({declared(inputs)}) => ({declared(outputs)}) {{ {body} }}'
    model = parser.parse_model(text)
    for value in (*model.graph.input, *model.graph.output):
        value.name = value.name.replace("k_ref_0", "k_ref.0").replace("e_t_0", "e_t.0")
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [n.replace("k_ref_0", "k_ref.0").replace("e_t_0", "e_t.0") for n in names]
    if "denoise" in file.name:  # half a weight, kept outside the file and shared by both branches
        half = numpy_helper.from_array(np.full((1, 3, 1, 1), 0.5, np.float32), "half")
        model.graph.initializer.append(half)
        onnx.checker.check_model(model)
        weight = model.graph.initializer[0]
        data = file.with_name("denoise.onnx.data")
        data.write_bytes(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", data.name), ("offset", "0"), ("length", "12")):
            weight.external_data.add(key=key, value=value)
        file.write_bytes(model.SerializeToString())
        return
    onnx.save(model, file)


def _entry(name: str, inputs: list[str], outputs: list[str], variants: list[dict[str, Any]]) -> dict[str, Any]:
    def tensors(names: list[str]) -> list[dict[str, Any]]:
        return [{"name": n, "dtype": "float32", "shape": TENSORS[n], "meaning": ""} for n in names]

    cost = {"parameters": 0, "flops": [0, 1, 0], "bytes": [0, 1, 0]}
    return {"name": name, "inputs": tensors(inputs), "outputs": tensors(outputs), "variants": variants, "cost": cost}


def write_toy_bundle(folder: Path) -> Path:
    """Write the bundle and return its folder."""
    stages: dict[str, list[dict[str, Any]]] = {"reference": [], "drag": [], "denoise": [], "decode": []}
    with new_bundle(folder) as aside:
        for stage, name, inputs, outputs, body in GRAPHS:
            file = aside / f"{name}.onnx"
            _save(file, inputs, outputs, body)
            stages[stage].append(_entry(name, inputs, outputs, [file_variant(file, "fp32", "ort")]))
        variants = []
        for branch, scale in (("single", "half"), ("pair", "guided")):
            file = aside / f"denoise_{branch}.onnx"
            body = ("guided = Mul (half, guidance)" if branch == "pair" else "") + STEP
            _save(file, DENOISE_INPUTS, ["latent_next"], body.format(scale=scale))
            shared = file.with_name("denoise.onnx.data")
            entry = file_variant(file, "fp32", "ort", branch)
            entry["external"] = [{"file": shared.name, "sha256": file_variant(shared, "fp32", "ort")["sha256"]}]
            variants.append(entry)
        stages["denoise"].append(_entry("unet", DENOISE_INPUTS, ["latent"], variants))
        side = {"minimum": 64, "maximum": 1024, "multiple": 64}
        write_manifest(
            aside,
            {
                "format": "edgedrag-bundle",
                "format_version": FORMAT_VERSION,
                "name": "toy",
                "version": "1",
                "licence": "none",
                "description": "for tests",
                "symbols": {"H": side, "W": side},
                "inputs": {
                    "image": {"low": -1, "high": 1},
                    "clip_image": {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
                },
                "stages": stages,
                "sampler": {
                    "method": "lcm",
                    "prediction": "epsilon",
                    "alphas": [float(a) for a in np.linspace(0.9999, 0.07, 1000)],
                    "timesteps": list(range(999, 0, -20)),
                    "default_steps": 4,
                    "guidance": {"schedule": "inv_square", "scale": 3.0},
                },
                "window": {"sizes": [[128, 128]], "margin": 0.05},
                "provenance": {"checkpoint_sha256": "", "training_data_sha256": "", "made_with": {}, "parity": []},
            },
        )
    return folder

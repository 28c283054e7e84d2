"""A bundle in words, for `edgedrag info`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.sampling.sampler import most_steps


def cost_at(polynomial: list[float], height: int, width: int) -> float:
    """A cost of the manifest, c0 + c1 P + c2 P^2, for a picture of height x width."""
    pixels = height * width
    return polynomial[0] + polynomial[1] * pixels + polynomial[2] * pixels**2


def describe_bundle(bundle: Bundle) -> str:
    """What is in a bundle, where it came from, and its figures."""
    manifest = bundle.manifest
    sampler, provenance = manifest["sampler"], manifest["provenance"]
    height, width = max(bundle.sizes, key=lambda s: s[0] * s[1])
    lines = [
        f"{bundle.name} {manifest['version']}: {manifest['description']}",
        f"licence     {manifest['licence']}",
        f"folder      {bundle.folder}",
        f"sampler     {sampler['method']}, predicts the {sampler['prediction']}, {sampler['default_steps']} step(s) "
        f"by default, up to {most_steps(sampler)}; guidance {sampler['guidance']['schedule']}",
        "windows     " + ", ".join(f"{w} x {h}" for h, w in bundle.sizes),
    ]
    if bundle.gives_flow:
        lines.append("resolution  native: moved content is warped from the photo's own pixels")
    else:
        lines.append(f"resolution  effective {width} x {height} in a window: this bundle gives no flow")
    lines += ["", f"{'stage':<10} {'graph':<12} {'parameters':>11} {'GFLOP':>7} {'MB moved':>9}  variants"]
    lines[-1] += f"   (at {width} x {height})"
    for stage, graph in bundle.graphs():
        cost = graph.cost
        variants = ", ".join(f"{v.precision}/{v.placement}" for v in graph.variants)
        flops, moved = (cost_at(cost[key], height, width) for key in ("flops", "bytes"))
        lines.append(
            f"{stage:<10} {graph.name:<12} {cost['parameters']:>11,} {flops / 1e9:>7.2f} "
            f"{moved / 1e6:>9.1f}  {variants}"
        )
    lines += ["", f"checkpoint     sha256 {provenance['checkpoint_sha256']}"]
    lines.append(f"training data  sha256 {provenance['training_data_sha256'] or 'not stated'}")
    lines.append("made with      " + ", ".join(f"{k} {v}" for k, v in provenance["made_with"].items()))
    worst = min((p["snr_db"] for p in provenance["parity"]), default=None)
    if worst is not None:
        lines.append(
            f"parity         {worst:g} dB or better against PyTorch, each graph, {len(provenance['parity'])} runs"
        )
    for name, value in provenance.get("figures", {}).items():
        lines.append(f"{name:<40} {value:g}")
    recipe = _recipe(bundle)
    if recipe is not None:
        lines += ["", "INT8", *describe_recipe(recipe)]
    return "\n".join(lines)


def bundle_as_json(bundle: Bundle) -> dict[str, Any]:
    """The same for programs: the manifest as it is, and the recipe of the INT8 variants, None where there are none."""
    return {
        "bundle": bundle.name,
        "folder": str(bundle.folder),
        "native_resolution": bundle.gives_flow,
        "manifest": bundle.manifest,
        "recipe": _recipe(bundle),
    }


def _recipe(bundle: Bundle) -> dict[str, Any] | None:
    if "recipe" not in bundle.manifest:
        return None
    recipe: dict[str, Any] = json.loads(bundle.verified_recipe().read_text(encoding="utf-8"))
    return recipe


def describe_recipe(recipe: Mapping[str, Any]) -> list[str]:
    """How the INT8 variants were made, in lines: on which drags, within what budget, which layers."""
    calibration, figures = recipe["calibration"], recipe["figures"]
    lines = [
        f"{calibration['drags']} drags (sha256 {calibration['sha256'][:12]}), tried on {calibration['searched']}, "
        f"at {', '.join(map(str, calibration['steps']))} step(s), seed {calibration['seed']}",
        f"budget       PSNR from {recipe['budget']['psnr_db']:g} dB on, ST-LPIPS up to "
        f"{recipe['budget']['stlpips']:g}, in the mask against fp32",
    ]
    for name, figure in figures.items():
        if figure is not None:
            share = f"{figure['share']:.0%} of the work in INT8, " if "share" in figure else ""
            likeness = "" if figure["stlpips"] is None else f", ST-LPIPS {figure['stlpips']:g}"
            lines.append(f"{name.replace('_', ' '):<12} {share}PSNR {figure['psnr_db']:g} dB{likeness}")
    for name, graph in recipe["graphs"].items():
        layers = graph["layers"]
        if layers:
            chosen = [layer for layer in layers if layer["precision"] == "int8"]
            lines.append(f"{name:<12} {len(chosen)} of {len(layers)} layers; for TensorRT the rest in {graph['rest']}")
    spreads = {
        f"{name}/{tensor}": entry["spread"]
        for name, graph in recipe["graphs"].items()
        for tensor, entry in graph["inputs"].items()
        if entry.get("spread") is not None
    }
    if spreads:
        widest = max(spreads, key=lambda tensor: spreads[tensor])
        lines.append(f"over timesteps a tensor's peak varies by {spreads[widest]:g} at most ({widest})")
    return lines

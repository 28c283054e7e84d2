"""What a drag costs, from the manifest: by graph, by schedule, and beside the method's own code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgedrag.runtime.bundle.describe import cost_at
from edgedrag.runtime.bundle.graphs import HOLD
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.sampling.sampler import GUIDANCE_EPSILON, make_table

PERIODS = {"hold": "hold", "reference": "photo", "drag": "drag", "denoise": "step", "decode": "drag"}
Work = np.ndarray  # FLOPs, bytes


class Costs:
    """Sums of a bundle's costs at one picture size."""

    def __init__(self, bundle: Bundle, height: int, width: int):
        self._bundle = bundle
        self._size = height, width

    def of(self, entry: dict[str, Any]) -> Work:
        return np.array([cost_at(entry[key], *self._size) for key in ("flops", "bytes")])

    def of_branch(self, stage: str, entry: dict[str, Any]) -> Work:
        """A graph once at the window's size; of the hold, at the sizes for photos of the first aspect."""
        if stage != HOLD:
            return self.of(entry)
        looks = [Costs(self._bundle, *size) for size in self._bundle.hold_sizes[0]]
        return sum((look.of(entry) for look in looks), np.zeros(2))

    def stage(self, name: str) -> Work:
        """All graphs of a stage once, the single branch."""
        return sum((self.of(g.cost) for g in self._bundle.stages[name]), np.zeros(2))

    def guided_step(self) -> Work:
        """The step's graphs once, in pair where there is one."""
        return sum((self.of(g.pair_cost or g.cost) for g in self._bundle.stages["denoise"]), np.zeros(2))

    def new_drag(self) -> Work:
        """Another drag with another mask, but for its steps."""
        return self.stage("drag") + self.stage("decode")

    def unmasked(self) -> Work:
        """What a drag with the same mask does not run again."""
        masked = self._bundle.masked_tensors
        graphs = [g for g in self._bundle.stages["drag"] if all(t.name in masked for t in g.outputs)]
        return sum((self.of(g.cost) for g in graphs), np.zeros(2))


def describe_cost(bundle: Bundle) -> str:
    """The table for people, at the largest window."""
    height, width = max(bundle.sizes, key=lambda s: s[0] * s[1])
    costs = Costs(bundle, height, width)
    lines = [f"{bundle.name} at {width} x {height}; bytes of fp32, each tensor read and written once", ""]
    lines.append(f"{'per':<6} {'graph':<22} {'parameters':>13} {'GFLOP':>9} {'MB moved':>9}")
    for stage, name, cost in _branches(bundle):
        flops, moved = costs.of_branch(stage, cost)
        lines.append(
            f"{PERIODS[stage]:<6} {name:<22} {cost['parameters']:>13,} {flops / 1e9:>9.1f} {moved / 1e6:>9.0f}"
        )
    lines += ["", f"{'a drag':<52} {'TFLOP':>7} {'GB moved':>9}"]
    lines += [_line(name, work) for name, work in _schedules(bundle, costs)]
    published = bundle.manifest.get("published")
    return "\n".join(lines if published is None else [*lines, "", *_compare(bundle, costs, published)])


def costs_as_json(bundle: Bundle) -> dict[str, Any]:
    """The same figures at the largest window, without the published code: of each graph, and of the schedules."""
    height, width = max(bundle.sizes, key=lambda s: s[0] * s[1])
    costs = Costs(bundle, height, width)

    def work(found: Work) -> dict[str, float]:
        return {"flops": float(found[0]), "bytes": float(found[1])}

    graphs = [
        {
            "stage": stage,
            "graph": name,
            "per": PERIODS[stage],
            "parameters": cost["parameters"],
            **work(costs.of_branch(stage, cost)),
        }
        for stage, name, cost in _branches(bundle)
    ]
    schedules = [{"schedule": name, **work(found)} for name, found in _schedules(bundle, costs)]
    return {"width": width, "height": height, "graphs": graphs, "schedules": schedules}


def _branches(bundle: Bundle) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Stage, name and cost of each graph, and of its pair under guidance where it has one."""
    for stage, graph in bundle.graphs():
        yield stage, graph.name, graph.cost
        if graph.pair_cost:
            yield stage, f"{graph.name}, guidance pair", graph.pair_cost


def _line(name: str, work: Work) -> str:
    return f"{name:<52} {work[0] / 1e12:>7.3f} {work[1] / 1e9:>9.1f}"


def _schedules(bundle: Bundle, costs: Costs) -> list[tuple[str, Work]]:
    """The bundle's default, first and further drags."""
    steps = _steps_work(bundle, costs, bundle.sampler["default_steps"])
    count = bundle.sampler["default_steps"]
    drag = costs.new_drag() + steps
    return [
        (f"{count} steps, first on a photo", costs.stage("reference") + drag),
        (f"{count} steps, next with another mask", drag),
        (f"{count} steps, next with the same mask", drag - costs.unmasked()),
    ]


def _steps_work(bundle: Bundle, costs: Costs, steps: int) -> Work:
    """All steps, guided where the scale is not near 1."""
    scales = make_table(bundle.sampler, steps).guidance
    guided = int((abs(scales - 1) > GUIDANCE_EPSILON).sum())
    return guided * costs.guided_step() + (steps - guided) * costs.stage("denoise")


def _compare(bundle: Bundle, costs: Costs, published: dict[str, Any]) -> list[str]:
    """The published code beside this bundle's graphs at the same number of guided steps; then what each saving adds."""
    count, images = published["steps"], published["images"]
    once = sum((run["once"] * costs.of(run) for run in published["runs"]), np.zeros(2))
    each = sum((run["each"] * costs.of(run) for run in published["runs"]), np.zeros(2)) + count * costs.of(
        published["step"]
    )
    one, all_images = once + each, once + images * each
    reference, drag = costs.stage("reference"), costs.new_drag()
    decoder = next(run for run in published["runs"] if run["name"] == "vae_decode")
    small = costs.of(published["small_decoder"]) - costs.of(decoder)
    if "vae_decode" not in {g.name for g in bundle.stages["decode"]}:
        drag, small = drag - small, small
    guided = count * costs.guided_step()
    lines = [
        f"published code, {count} guided steps",
        _line("  one image", one),
        _line(f"  {images} images", all_images),
    ]
    lines += ["", f"{'this bundle, ' + str(count) + ' guided steps':<52} {'TFLOP':>7} {'GB moved':>9}"]
    lines[-1] += "  of published, one image  as published"

    def row(name: str, work: Work) -> str:
        return f"{_line(name, work)}  {work[0] / one[0]:>23.3f}  {work[0] / all_images[0]:>12.3f}"

    lines.append(row("  first drag on a photo", reference + drag + guided))
    lines.append(row("  second drag, another mask", drag + guided))
    lines.append(row("  second drag, the same mask", drag + guided - costs.unmasked()))
    skipped, few = _steps_work(bundle, costs, count), _steps_work(bundle, costs, count // 2)
    lines.append("  and, first drag:")
    lines.append(row("    no guidance where the scale is near 1", reference + drag + skipped))
    lines.append(row(f"    and {count // 2} steps", reference + drag + few))
    lines.append(row("    and a small decoder", reference + drag + few + small))
    return lines

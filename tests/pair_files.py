"""Files of mined pairs, as `edgedrag learn pairs` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_clip(file: Path, photo: np.ndarray, kinds: list[str] | None) -> None:
    """Pairs of a photo whose middle went 10 pixels to the right; those of made kinds went 14."""
    mask = np.zeros((256, 256), bool)
    mask[60:200, 60:200] = True
    valid = np.ones_like(mask)
    valid[:, 60:75] = False
    arrays: dict[str, list[np.ndarray]] = {k: [] for k in ("source", "target", "flow", "valid", "mask")}
    for kind in kinds or ["video"]:
        way = 10 if kind == "video" else 14
        source = photo[:256, 80:336]
        target = np.where(mask[..., None], photo[:256, 80 - way : 336 - way], source)
        flow = np.broadcast_to(np.array([-way, 0], np.float16), (256, 256, 2))
        for name, array in zip(arrays, (source, target, flow, valid, mask)):
            arrays[name].append(array)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **{k: np.stack(v) for k, v in arrays.items()}, **({"kind": np.array(kinds)} if kinds else {}))

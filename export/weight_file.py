"""A file of external ONNX data that several graphs may share, written incrementally."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx_ir as ir

ALIGNMENT = 64  # bytes
LEAST = 1024  # bytes; smaller tensors stay inside the graph


class WeightFile:
    """Collects the weights of graphs in the same folder; equal weights are stored once."""

    def __init__(self, path: Path):
        self.path = path
        self._stored: dict[bytes, tuple[int, int]] = {}  # digest -> offset, length

    def take(self, model: ir.Model, from_files: bool = True) -> None:
        """Move a graph's weights here, one at a time; with `from_files` also those in other external files.

        The file is created with the first weight.
        """
        for value in model.graph.initializers.values():
            tensor = value.const_value
            if tensor is None or tensor.nbytes < LEAST or (isinstance(tensor, ir.ExternalTensor) and not from_files):
                continue
            offset, length = self._place(tensor.tobytes())
            value.const_value = ir.ExternalTensor(
                self.path.name,
                offset,
                length,
                tensor.dtype,
                shape=ir.Shape(tensor.shape.numpy()),
                name=str(value.name),
                base_dir=self.path.parent,
            )

    def _place(self, data: bytes) -> tuple[int, int]:
        digest = hashlib.blake2b(data, digest_size=32).digest()
        if digest not in self._stored:
            with self.path.open("ab") as file:
                file.write(b"\0" * (-file.tell() % ALIGNMENT))
                self._stored[digest] = (file.tell(), len(data))
                file.write(data)
        return self._stored[digest]

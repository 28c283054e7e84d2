"""Reading a bundle's graph, and putting its external data beside a changed copy of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx_ir as ir

LARGE = 2**29  # bytes of external data; more is neither copied nor held in memory


def read_graph(file: Path) -> ir.Model:
    """A graph whose weights stay on disk until they are used.

    Files with several hard links are read too, which onnx-ir refuses: package installers make them (uv links a wheel's
    files to its cache), and a bundle's files are verified by hash.
    """
    model = ir.load(file)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor) and os.stat(tensor.path).st_nlink > 1:
            value.const_value = _mapped(tensor)
    return model


def _mapped(tensor: ir.ExternalTensor) -> ir.LazyTensor:
    shape = tensor.shape.numpy()

    def read() -> ir.TensorProtocol:
        dtype = tensor.dtype.numpy()
        raw = np.memmap(tensor.path, np.uint8, "r", tensor.offset or 0, tensor.nbytes) if tensor.nbytes else b""
        return ir.tensor(np.frombuffer(raw, dtype).reshape(shape), name=tensor.name)

    return ir.LazyTensor(read, tensor.dtype, ir.Shape(shape), name=tensor.name)


def share_data(file: Path, folder: Path) -> None:
    """Put a file of external data into a folder: a copy, or a hard link if it is large and the file system allows it.

    A link is free, but while it exists some readers of ONNX refuse the original too.
    """
    place = folder / file.name
    try:
        if file.stat().st_size > LARGE:
            return os.link(file, place)
    except OSError:  # another file system
        pass
    shutil.copyfile(file, place)

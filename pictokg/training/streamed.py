"""Writing a safetensors file one of whose tensors comes block by block, because it is larger than memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pictokg.files import write_atomically


@dataclass(frozen=True)
class Rows:
    """A tensor (count, width) of float32 that comes in blocks.

    Attributes:
        name: which of the tensors it is; count: its rows.
        blocks: places of some rows, and the rows; every place once.
    """

    name: str
    count: int
    blocks: Iterable[tuple[np.ndarray, np.ndarray]]


def write_rows(path: Path, tensors: Mapping[str, Tensor], rows: Rows) -> None:
    """Write named tensors, with `rows` instead of the tensor of that name, which says only how wide they are.

    The format is a header of JSON, its length in 8 bytes before it, and the numbers of one tensor after the other.
    """
    write_atomically(path, lambda temporary: _write(temporary, tensors, rows))


def _write(path: Path, tensors: Mapping[str, Tensor], rows: Rows) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    shapes[rows.name] = (rows.count, *shapes[rows.name][1:])
    starts, header, end = {}, {}, 0
    for name, shape in shapes.items():
        if tensors[name].dtype != torch.float32:
            raise TypeError(f"{name} is of {tensors[name].dtype}, and only float32 is written so")
        starts[name], end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [starts[name], end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # numbers start at a multiple of 8
    first = 8 + len(text)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(first + end)
    for name, shape in shapes.items():
        if name != rows.name and int(np.prod(shape)):
            np.memmap(path, np.float32, "r+", first + starts[name], shape)[...] = tensors[name].cpu().numpy()
    for where, block in rows.blocks:  # mapped anew each time: pages count as the process's own while they are mapped
        np.memmap(path, np.float32, "r+", first + starts[rows.name], shapes[rows.name])[where] = block

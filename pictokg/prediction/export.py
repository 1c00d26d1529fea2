"""Vectors with names, in files that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pictokg.files import write_atomically
from pictokg.fusion.linear import WeightedParts
from pictokg.graph.names import write_names

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.vocabulary import Vocabulary
    from pictokg.models.base import Model

Written = tuple[Path, int, int]


def export_vectors(model: Model, data: Dataset, folder: Path, *, npy: bool = False) -> list[Written]:
    """Write the encoded entities, a file a view or weighed part, and the relation rows: (path, rows, width).

    Args:
        model: a trained model; data: its graph, for the names.
        folder: made where it does not exist.
        npy: `X.npy` with `X.txt` (one name a line) instead of `X.parquet` (columns name, vector).
    """
    ids = torch.arange(model.num_entities, device=model.device)
    encoded = model.encode_all()(ids).cpu().numpy()
    encoder = model.encoder
    views = encoder.parts if isinstance(encoder, WeightedParts) else encoder.views
    stacks = (
        {"entities": encoded}
        if encoded.ndim == 2
        else {f"entities_{view}": encoded[:, i] for i, view in enumerate(views)}
    )
    written = [_write(folder / name, data.graph.entities, vectors, npy) for name, vectors in stacks.items()]
    relations = model.relations.weight.detach().cpu().numpy()[: model.num_relations]
    return [*written, _write(folder / "relations", data.graph.relations, relations, npy)]


def _write(path: Path, names: Vocabulary, vectors: np.ndarray, npy: bool) -> Written:
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if npy:
        write_names(path.with_suffix(".txt"), names)
        target = path.with_suffix(".npy")
        write_atomically(target, lambda temporary: _save_array(temporary, vectors))
    else:
        import polars as pl

        target = path.with_suffix(".parquet")
        frame = pl.DataFrame({"name": list(names.names), "vector": vectors})
        write_atomically(target, frame.write_parquet)
    return target, len(vectors), vectors.shape[1]


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as handle:
        np.save(handle, array)

"""Starting from vectors that exist already: those of a run, or of a file with names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import DataError
from pictokg.graph.names import read_names
from pictokg.graph.vocabulary import Vocabulary
from pictokg.training.checkpoint import load_tensors

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model


def warm_start(model: Model, data: Dataset, source: Path) -> int:
    """Overwrite structure rows (and, from a run, relation rows) by name; the number of entity rows found.

    Args:
        model: changed in place; rows whose names the source lacks keep their random start.
        data: the graph that the model's rows belong to.
        source: a run folder; or `X.parquet` (columns name, vector); or `X.npy` beside `X.txt` with one name a line.

    Raises:
        DataError: vectors of another width, or no name in common.
    """
    if source.is_dir():
        tensors, _ = load_tensors(source / "checkpoints" / "best.safetensors")
        relations, given = model.relations.weight, tensors["relations.weight"]
        if given.shape[1] == model.encoder.structure.weight.shape[1]:  # the step from head to tail, as TransE has it:
            relations = relations[:, : given.shape[1]]  # rows of TransH and TransR begin with it
        _copy(relations, data.graph.relations, read_names(source / "relations.txt"), given, source)
        names, vectors = read_names(source / "entities.txt"), tensors["encoder.structure.weight"]
    else:
        names, vectors = _read_vectors(source)
    return _copy(model.encoder.structure.weight, data.graph.entities, names, vectors, source)


def _read_vectors(source: Path) -> tuple[Vocabulary, Tensor]:
    """Names and vectors of a Parquet or npy file."""
    try:
        if source.suffix == ".parquet":
            import polars as pl

            frame = pl.read_parquet(source)
            names, vectors = frame["name"].to_list(), np.stack(frame["vector"].to_list())
            return Vocabulary(names), torch.from_numpy(np.asarray(vectors, dtype=np.float32))
        if source.suffix == ".npy":
            return read_names(source.with_suffix(".txt")), torch.from_numpy(np.load(source).astype(np.float32))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be read as vectors ({error})", file=source) from error
    raise DataError("is neither a run folder nor .parquet nor .npy", file=source)


@torch.no_grad()
def _copy(rows: Tensor, wanted: Vocabulary, names: Vocabulary, vectors: Tensor, source: Path) -> int:
    if vectors.shape[1] != rows.shape[1]:
        raise DataError(
            f"has vectors of width {vectors.shape[1]} but the model wants {rows.shape[1]}",
            file=source,
            remedy=f"set dim={vectors.shape[1]} (half of that where numbers are complex), or start from other vectors",
        )
    found = torch.from_numpy(names.ids(wanted.names))
    here = (found >= 0).nonzero().squeeze(1)
    if not len(here):
        raise DataError("has no name in common with the graph", file=source)
    rows[here] = vectors[found[here]].to(rows.device)
    return len(here)

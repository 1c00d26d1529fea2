"""A run is a folder, written before the first epoch: configuration, environment, vocabularies; then what is learned.

RUN/config.toml  run.json  entities.txt  relations.txt  features/  metrics.jsonl  checkpoints/{best,last}.safetensors
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.assembly import build_model, build_objective
from pictokg.config import Config, configure
from pictokg.errors import DataError, DataWarning
from pictokg.files import write_text
from pictokg.graph.names import read_names, write_names
from pictokg.training.checkpoint import load_parameters, load_tensors
from pictokg.training.fit import best_path

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.features.table import FeatureTable
    from pictokg.models.base import Model
    from pictokg.prediction.sampler_attention import NoSamplerAttention, SamplerAttention

PACKAGES = ("torch", "numpy", "polars", "scikit-learn", "pillow", "safetensors")


@dataclass(frozen=True)
class Run:
    """A trained model with the data it was trained on."""

    folder: Path
    config: Config
    data: Dataset
    model: Model


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a run was trained on: where from, a digest of its triples, fingerprint and sketch of each feature table."""

    source: str
    train: str
    features: dict[str, tuple[str, list[float]]]


def with_features(config: Config, data: Dataset) -> Config:
    """The configuration with the feature tables that the data really have, so that the run can find them again."""
    return Config({**config.sections, "features": dict(data.features)})


def create(folder: Path, config: Config, data: Dataset, command: list[str]) -> None:
    """Write all of a run that is known before its first epoch; it must not overwrite another run.

    Raises:
        DataError: the folder holds a run or other files already.
    """
    refuse_other_files(folder)
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)  # left by a run that was killed
    try:
        write_names(fresh / "entities.txt", data.graph.entities)
        write_names(fresh / "relations.txt", data.graph.relations)
        write_text(fresh / "run.json", json.dumps(_description(data, command), indent=2, ensure_ascii=False) + "\n")
        write_text(fresh / "config.toml", config.to_toml())
        for modality, fitted in data.encoders.items():  # so that an entity never seen can be encoded later
            shutil.copytree(fitted, fresh / "features" / modality)
        fresh.replace(folder)  # a run folder is there whole or not at all
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def refuse_other_files(folder: Path) -> None:
    """DataError when a folder is not free for a new run."""
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file", file=folder, remedy="choose a folder for --out")
    if folder.exists() and any(folder.iterdir()):
        whole = (folder / "config.toml").exists()
        remedy = f"go on with it: pictokg train --resume {folder}, or " if whole else ""
        what = "a run" if whole else "files that are no run"
        raise DataError(f"holds {what} already", file=folder, remedy=f"{remedy}choose another --out")


def load_config(folder: Path) -> Config:
    """The configuration of a run; DataError when the folder is no run."""
    if not (folder / "config.toml").is_file():
        raise DataError(
            "is no run folder (it has no config.toml)",
            file=folder,
            remedy="give the folder of pictokg train --out",
        )
    return configure(file=folder / "config.toml")


def load_data(folder: Path, config: Config, source: str | None = None) -> Dataset:
    """The data a run remembers (or `source`, where they were moved), with ids as they were in training."""
    from pictokg.datasets.load import load

    remembered = _remembered(folder)
    features = {modality: str(name) for modality, name in config.options("features").items()}
    data = load(source or remembered.source, features=features, modalities=list(features))
    for kind, vocabulary in (("entities", data.graph.entities), ("relations", data.graph.relations)):
        if read_names(folder / f"{kind}.txt") != vocabulary:
            raise DataError(
                f"the {kind} of {data.folder} are no longer those the run was trained on",
                file=folder / f"{kind}.txt",
                remedy="restore the data folder, or train again",
            )
    if remembered.train != _digest(data):
        warnings.warn(
            f"the training triples of {data.folder} are not those the run was trained on; what counts as known has"
            " changed, and a run resumed with them is not the run that was begun",
            DataWarning,
            stacklevel=2,
        )
    for modality, table in data.tables.items():
        if modality not in remembered.features:  # the run's config.toml was given it later, as for neighbours
            continue
        fingerprint, trained_on = remembered.features[modality]
        same = table.fingerprint == fingerprint  # times of change are in it: copies have another
        if not same and not np.allclose(sketch(table), trained_on, atol=1e-4):
            raise DataError(
                f"the features {modality!r} of {data.folder} are no longer those the run was trained on:"
                " pictures, words or tables were changed, and their encoder was fitted anew",
                file=folder / "run.json",
                remedy="restore the data folder, or train again",
            )
    return data


def _remembered(folder: Path) -> Remembered:
    """Read from run.json what a run was trained on; DataError where it does not say."""
    try:
        data = json.loads((folder / "run.json").read_text(encoding="utf-8"))["data"]
        features = {modality: (made["fingerprint"], made["sketch"]) for modality, made in data["features"].items()}
        return Remembered(data["source"], data["train"], features)
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "copy the whole run folder anew, or train again"
        raise DataError(
            f"does not say what the run was trained on ({error!r})", file=folder / "run.json", remedy=remedy
        ) from error


def sketch(table: FeatureTable) -> list[float]:
    """Eight weighted sums of a table's mean rows: equal for equal rows, near for rows that differ by rounding."""
    mean, generator = table.mean(), np.random.default_rng(0)
    of_entities = generator.standard_normal((8, len(mean))).astype(np.float32)
    of_columns = generator.standard_normal((mean.shape[1], 8)).astype(np.float32)
    sums = np.einsum("kn,nw,wk->k", of_entities, mean, of_columns, optimize=True)
    return (sums / max(float(np.linalg.norm(mean)), 1e-12)).tolist()


def load_run(folder: str | Path, *, device: str = "cpu", data: str | None = None) -> Run:
    """Load a trained run with its data.

    Args:
        folder: what `pictokg train --out` wrote.
        device: where to put the model.
        data: the data folder, where it is no longer where it was.
    """
    folder = Path(folder)
    config = load_config(folder)
    if not best_path(folder).exists():
        raise DataError("has no trained model yet", file=folder, remedy=f"train it: pictokg train --resume {folder}")
    dataset = load_data(folder, config, data)
    model = build_model(config, dataset)
    tensors, _ = load_tensors(best_path(folder))
    load_parameters(model, tensors, best_path(folder))
    return Run(folder, config, dataset, model.to(device).eval())


def attention_of(run: Run) -> SamplerAttention | NoSamplerAttention | None:
    """The cross-modal attention that the run's sampler learned, or why it cannot be shown; None where it has none."""
    from pictokg.prediction.sampler_attention import sampler_attention

    return sampler_attention(run.folder, build_objective(run.config).sampler, run.model, run.data)


def _source(data: Dataset) -> str:
    """What to load the data from again: "glyphs" for the embedded ones, wherever their cache is; else the folder."""
    from pictokg.features.place import cache_folder

    folder = (data.folder or Path()).resolve()
    return "glyphs" if data.name == "glyphs" and folder.parent == cache_folder().resolve() else str(folder)


def _digest(data: Dataset) -> str:
    """SHA-256 of the training triples as ids."""
    return hashlib.sha256(data.graph.split("train").tobytes()).hexdigest()


def _description(data: Dataset, command: list[str]) -> dict[str, Any]:
    """Where the data are and what software ran."""
    graph = data.graph
    return {
        "command": command,
        "data": {
            "name": data.name,
            "source": _source(data),
            "entities": graph.num_entities,
            "relations": graph.num_relations,
            "splits": {name: len(triples) for name, triples in graph.splits.items()},
            "train": _digest(data),
            "features": {
                modality: {"fingerprint": table.fingerprint, "sketch": sketch(table)}
                for modality, table in data.tables.items()
            },
        },
        "versions": {"pictokg": version("pictokg"), "python": sys.version.split()[0]}
        | {package: version(package) for package in PACKAGES},
        "machine": {"system": platform.platform(), "processor": platform.processor() or platform.machine()},
    }

"""From choices to objects: the one place that turns a configuration into a model, an objective and a trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pictokg import catalogue
from pictokg.config import NESTED, NONE, Config, configure, schema, size_of
from pictokg.errors import ConfigError, DataError
from pictokg.fusion.neighbours import NeighbourOptions, lend
from pictokg.graph.names import read_names
from pictokg.models._factored import is_linear
from pictokg.training.checkpoint import load_parameters, load_tensors
from pictokg.training.fit import best_path
from pictokg.training.loop import Trainer, TrainingOptions
from pictokg.training.optimiser import OptimiserOptions
from pictokg.training.step import Objective

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.sampling.base import Sampler
    from pictokg.scoring.base import ScoringFunction
    from pictokg.training.fit import Progress
    from pictokg.training.partitioned import PartitionedTrainer


def build(model: str, data: Dataset, *, seed: int = 0, **options: Any) -> Model:
    """Make an untrained model.

    Args:
        model: a name of the catalogue, a file, or module:object.
        data: what it will learn.
        seed: of its initial values.
        options: keyword arguments of the model's own `build`; `scoring` is a name.

    Raises:
        ConfigError: an unknown model or option, with the nearest valid one.
    """
    return build_model(configure(model, settings=list(options.items()), size=_size(data)), data, seed=seed)


def fit(model: Model, data: Dataset, *, sampler: str = "", loss: str = "", seed: int = 0, **options: Any) -> Progress:
    """Train a model in place; what is not chosen is what suits the model.

    Args:
        model: from `build`.
        data: its train split is learned, its valid split chooses the best epoch.
        sampler, loss: names of the catalogue.
        seed: of every random draw.
        options: any other setting by its key, as --set takes it: epochs=20, learning_rate=0.05, negatives=32 …
    """
    from pictokg.training.fit import fit as run_to_end

    settings = [*options.items(), ("training.seed", seed)]
    parts = {"sampler": sampler, "loss": loss}
    config = configure(model.name or "gated", parts=parts, settings=settings, size=_size(data))
    return run_to_end(build_trainer(config, model, data), data)


def build_model(config: Config, data: Dataset, *, seed: int = 0) -> Model:
    """Make the untrained model of a configuration."""
    name = config.name("model")
    builder = catalogue.find("model", name)
    arguments: dict[str, Any] = config.options("model")
    if config.name("scoring") != NONE:
        arguments["scoring"] = _scoring(config)
    # Layers of torch draw from the global generator and take no other, hence the fork.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = builder(data, **arguments)
        except TypeError as error:
            if "scoring" not in arguments or "scoring" not in str(error):
                raise
            raise ConfigError(f"model {name!r} fixes its scoring function; choose gated to combine your own") from error
        except ValueError as error:  # a layer of torch refused an option, as a dropout of 2
            raise ConfigError(f"model {name!r} cannot be built with these options: {error}") from error
        model.initialise(torch.Generator().manual_seed(seed))
    lending = config.options("neighbours")
    if lending.get("by"):
        lend(model.encoder, data, NeighbourOptions(**lending), adds=is_linear(model.scoring))
    model.name = name
    return model


def build_objective(config: Config) -> Objective:
    """Make sampler, loss and regulariser, and check that they fit together."""
    sampler = _part(config, "sampler")
    loss = _part(config, "loss")
    if sampler is None or loss is None:
        raise ConfigError("training needs a sampler and a loss; name both")
    if "labels" in sampler.needs and not loss.reads_labels:
        losses: dict[str, Any] = {name: catalogue.find("loss", name) for name in catalogue.names("loss")}
        labelled = [name for name, kind in losses.items() if kind.reads_labels]
        raise ConfigError(
            f"sampler {config.name('sampler')!r} labels several answers a question, which loss"
            f" {config.name('loss')!r} does not read; choose loss " + " or ".join(labelled)
        )
    return Objective(sampler, loss, _part(config, "regulariser"))


def build_trainer(
    config: Config, model: Model, data: Dataset, on_batch: Callable[[int], None] | None = None
) -> Trainer:
    """Make the trainer of a model."""
    options = TrainingOptions(**config.options("training"))
    optimiser = OptimiserOptions(**config.sections["optimiser"])
    if optimiser.sparse and options.gradient_clip:
        raise ConfigError("gradient_clip does not work on row-sparse gradients; set sparse=false or gradient_clip=0")
    if options.memory_budget:
        raise ConfigError("memory_budget needs a file for the table: pictokg train, or assembly.build_partitioned")
    objective = build_objective(config)
    give_generators(objective.sampler, model, data, seed=options.seed)
    return Trainer(model, data, objective, optimiser, options, on_batch)


def build_partitioned(
    config: Config, data: Dataset, path: Path, on_batch: Callable[[int], None] | None = None
) -> PartitionedTrainer:
    """Make the trainer of a model whose entity table may be larger than memory (see `training.partitioned`).

    Args:
        config: as for `build_trainer`, of a model whose entities are plain rows; its `training.memory_budget` is what
            the rows that are in memory at a time, and their state, may take.
        path: the file for the table and its optimiser's state; a .npy file, written over.

    Raises:
        ConfigError: a choice that needs more than the rows of two partitions.
    """
    from pictokg.training.partitioned import OnDisk, PartitionedTrainer
    from pictokg.training.partitions import Partitions

    options, optimiser = TrainingOptions(**config.options("training")), OptimiserOptions(**config.sections["optimiser"])
    if not options.memory_budget or options.warm_start:
        wrong = "warm_start reads all rows at once" if options.warm_start else "there is no bound to keep to"
        raise ConfigError(f"{wrong}; set training.memory_budget to MiB, and no training.warm_start")
    if config.options("neighbours").get("by"):
        raise ConfigError("neighbours compare all rows at once; leave out neighbours.by, or memory_budget")
    name, reads = config.name("model"), modalities_read(config, data.tables)
    if reads:
        raise ConfigError(f"memory_budget is for entities that are rows alone; {name} reads {', '.join(reads)}")
    width = build_model(config, Partitions.plan(2, 1, 2).local(data)).encoder.structure.weight.shape[1]
    row = 4 * (width + {"row_adagrad": 1, "sgd": 0}.get(optimiser.name, width))
    partitions = Partitions.plan(data.graph.num_entities, row, options.memory_budget << 20, options.seed)
    model, objective = build_model(config, partitions.local(data), seed=options.seed), build_objective(config)
    return PartitionedTrainer(model, data, objective, optimiser, options, OnDisk(path, partitions, on_batch))


def give_generators(sampler: Sampler, model: Model, data: Dataset, *, seed: int = 0) -> None:
    """Make the second models that a sampler, or a part of it, wants, and hand them over."""
    for part in sampler.parts():
        if part.generator:
            part.take_generator(build_generator(part.generator, data, seed=seed).to(model.device))


def build_generator(source: str, data: Dataset, *, seed: int = 0) -> Model:
    """Make the second model that a sampler wants: that of a finished run on the same graph, or an untrained one.

    Args:
        source: a run folder, or what `build` takes as a model.
        data: the graph it must know, with the feature tables it reads.
    """
    folder = Path(source)
    if source in catalogue.names("model") or source.endswith(".py") or ":" in source:
        return build_model(configure(source, size=_size(data)), data, seed=seed)
    if not best_path(folder).is_file():
        remedy = "set generator to the folder of a run that has been trained, or to a model: "
        raise DataError("is no trained run", file=folder, remedy=remedy + ", ".join(catalogue.names("model")))
    for kind, vocabulary in (("entities", data.graph.entities), ("relations", data.graph.relations)):
        if read_names(folder / f"{kind}.txt") != vocabulary:
            remedy = "train the generator on the folder that the run is trained on"
            raise DataError(f"has other {kind} than the data", file=folder / f"{kind}.txt", remedy=remedy)
    chosen = configure(file=folder / "config.toml").sections
    model = build_model(Config({**chosen, "neighbours": {}}), data, seed=seed)  # it learns on, and so lends nothing
    tensors, _ = load_tensors(best_path(folder))
    load_parameters(model, tensors, best_path(folder))
    return model.train()


def modalities_read(config: Config, data_modalities: Mapping[str, Any]) -> list[str]:
    """Which of the data's modalities the model of a configuration reads; those must have a feature table."""
    reads = getattr(catalogue.module_of("model", config.name("model")), "MODALITIES", ())
    if reads == "any":
        chosen = config.options("model").get("modalities")
        reads = [name for name in data_modalities if chosen is None or name in chosen]
    return list(dict.fromkeys([*reads, *(config.options("neighbours").get("by") or ())]))


def modalities_loaded(config: Config, data_modalities: Mapping[str, Any]) -> list[str]:
    """Which of the data's modalities training needs: those that the model reads, and those that its sampler does."""
    read = modalities_read(config, data_modalities)
    sampler = _part(config, "sampler")
    wanted = {name for part in sampler.parts() for name in part.modalities} if sampler is not None else set()
    return [*read, *(name for name in data_modalities if name in wanted and name not in read)]


def _size(data: Dataset) -> str:
    return size_of(data.graph.num_entities, len(data.graph.split("train")))


def _scoring(config: Config) -> Callable[[int], ScoringFunction]:
    constructor, options = catalogue.find("scoring", config.name("scoring")), config.options("scoring")
    return lambda dim: constructor(dim, **options)


def _part(config: Config, section: str) -> Any:
    return None if config.name(section) == NONE else _made(section, config.sections[section])


def _made(section: str, options: Mapping[str, Any]) -> Any:
    """A part from its table, and with it the parts it holds."""
    kinds = schema(section, dict(options))
    arguments = {
        key: [_made(section, table) for table in value] if kinds[key][0] == NESTED.get(section) and value else value
        for key, value in options.items()
        if key != "name"
    }
    return catalogue.find(section, options["name"])(**arguments)


def seed_of(config: Config) -> int:
    """The seed of every random draw of a run."""
    return int(config.options("training")["seed"])

"""Saving and restoring a run in the middle: one file, written atomically, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import SparseAdam

from pictokg.errors import DataError
from pictokg.files import write_atomically

if TYPE_CHECKING:
    from pictokg.training.loop import Trainer
    from pictokg.training.optimiser import Optimisers

PARTS = ("model", "optimiser", "sampler", "sampler_module")


def save_checkpoint(path: Path, trainer: Trainer, progress: Mapping[str, Any]) -> None:
    """Write everything a resumed run needs: parameters, optimiser, sampler, clock, and `progress` (plain JSON)."""
    sampler = trainer.objective.sampler
    parts: dict[str, Mapping[str, Tensor]] = {
        "model": trainer.model.state_dict(),
        "optimiser": optimiser_state(trainer.optimisers),
        "sampler": sampler.state(),
        "sampler_module": sampler.state_dict() if isinstance(sampler, nn.Module) else {},
    }
    clock = {"epoch": trainer.context.epoch, "step": trainer.context.step}
    tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
    save_tensors(path, tensors, {"clock": clock, "progress": dict(progress)})


def load_checkpoint(path: Path, trainer: Trainer) -> dict[str, Any]:
    """Put a trainer where `save_checkpoint` left it and return `progress`."""
    tensors, notes = load_tensors(path)
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, tensor in tensors.items():
        part, key = name.split("/", 1)
        parts[part][key] = tensor
    load_parameters(trainer.model, parts["model"], path)
    load_optimiser_state(trainer.optimisers, parts["optimiser"])
    sampler = trainer.objective.sampler
    sampler.load_state(parts["sampler"])
    if isinstance(sampler, nn.Module):
        load_parameters(sampler, parts["sampler_module"], path, of="sampler")
    trainer.context.epoch, trainer.context.step = notes["clock"]["epoch"], notes["clock"]["step"]
    return notes["progress"]


def optimiser_state(optimisers: Optimisers) -> dict[str, Tensor]:
    """All state of a run's optimisers as tensors, by name."""
    return {
        f"{number}.{parameter}.{key}": torch.as_tensor(value)
        for number, (part, _) in enumerate(optimisers.parts)
        for parameter, entry in part.state_dict()["state"].items()
        for key, value in entry.items()
    }


def load_optimiser_state(optimisers: Optimisers, state: Mapping[str, Tensor]) -> None:
    """Restore what `optimiser_state` returned."""
    for number, (part, _) in enumerate(optimisers.parts):
        entries: dict[int, dict[str, Any]] = {}
        for name, value in state.items():
            owner, parameter, key = name.split(".", 2)
            if int(owner) == number:
                is_count = key == "step" and isinstance(part, SparseAdam)  # it counts steps with a plain integer
                entries.setdefault(int(parameter), {})[key] = int(value) if is_count else value
        part.load_state_dict({**part.state_dict(), "state": entries})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write named tensors and JSON notes as one safetensors file."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {name: json.dumps(value) for name, value in notes.items()}
    write_atomically(path, lambda temporary: save_file(plain, temporary, metadata))


def load_tensors(path: Path, only: tuple[str, ...] = ("",)) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote, or the tensors whose names begin so; DataError where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as handle:
            notes = {name: json.loads(value) for name, value in (handle.metadata() or {}).items()}
            names = [name for name in handle.keys() if name.startswith(only)]  # noqa: SIM118 - it is no dict
            return {name: handle.get_tensor(name) for name in names}, notes
    except (OSError, SafetensorError) as error:
        remedy = "train the run again, or copy the whole run folder anew"
        raise DataError(f"cannot be read as a checkpoint ({error})", file=path, remedy=remedy) from error


def load_parameters(module: nn.Module, parameters: Mapping[str, Tensor], path: Path, *, of: str = "model") -> None:
    """Load parameters by name; DataError when they are those of another model, or of what else the module is."""
    try:
        module.load_state_dict(parameters)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        remedy = "the data or the options differ from those of the run; use the folder it was trained on"
        raise DataError(f"the parameters do not fit the {of}: {reason}", file=path, remedy=remedy) from error

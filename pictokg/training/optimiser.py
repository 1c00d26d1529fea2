"""Optimisers, dense and row-sparse: the learned rows of the entities get one, all other parameters another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, Optimizer, SparseAdam

from pictokg.errors import ConfigError, nearest
from pictokg.training.schedule import learning_rate_factor

if TYPE_CHECKING:
    from pictokg.models.base import Model


class RowAdagrad(Optimizer):
    """Adagrad with one step size a row: s_i += mean_j g_ij², x_i −= η g_i / (√s_i + ε); touched rows only when sparse.

    Half the memory of element-wise Adagrad and no dense pass over the table (Dist-KGE, VLDB 2021).
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, eps: float = 1e-10) -> None:
        super().__init__(list(params), {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closures: gradients are there already
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group["lr"], group["eps"])

    def _update(self, parameter: Tensor, gradient: Tensor, lr: float, eps: float) -> None:
        state = self.state[parameter]
        if "sum" not in state:
            state["sum"] = parameter.new_zeros(parameter.shape[0] if parameter.dim() else ())
        sums = state["sum"]
        if not gradient.is_sparse:
            sums += gradient.square().flatten(1).mean(dim=1) if gradient.dim() > 1 else gradient.square()
            scale = lr / (sums.sqrt() + eps)
            parameter -= gradient * scale.reshape(scale.shape + (1,) * (gradient.dim() - scale.dim()))
            return
        gradient = gradient.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        sums.index_add_(0, rows, values.square().mean(dim=1))
        parameter.index_add_(0, rows, values * (lr / (sums[rows].sqrt() + eps)).unsqueeze(1), alpha=-1)


KINDS: dict[str, tuple[type[Optimizer], type[Optimizer], float]] = {
    # name: (dense, row-sparse, learning rate unless told)
    "adam": (Adam, SparseAdam, 1e-3),
    "adagrad": (Adagrad, Adagrad, 0.1),
    "row_adagrad": (RowAdagrad, RowAdagrad, 0.1),
    "sgd": (SGD, SGD, 0.01),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserOptions:
    """Which optimiser.

    Attributes:
        name: adam, adagrad, row_adagrad or sgd.
        learning_rate: step size; by default one that suits the optimiser.
        sparse: update only the entity rows that a step touched; pays off when steps touch few of many entities.
    """

    name: str = "adagrad"
    learning_rate: float | None = None
    sparse: bool = False


class Optimisers:
    """The optimisers of one model behind the verbs of one."""

    def __init__(self, model: Model, options: OptimiserOptions) -> None:
        if options.name not in KINDS:
            raise ConfigError(f"unknown optimiser {options.name!r}; {nearest(options.name, KINDS)}")
        dense, row_sparse, usual_rate = KINDS[options.name]
        table = model.encoder.structure
        table.sparse = options.sparse
        rest = [parameter for parameter in model.parameters() if not options.sparse or parameter is not table.weight]
        self.learning_rate = usual_rate if options.learning_rate is None else options.learning_rate
        self.parts = [dense(rest, lr=self.learning_rate)]  # type: ignore[call-arg]  # every optimiser has lr
        if options.sparse:
            self.parts.append(row_sparse([table.weight], lr=self.learning_rate))  # type: ignore[call-arg]

    def step(self, schedule: str, warmup: float, progress: float) -> None:
        """Update the parameters at the scheduled rate, then forget the gradients."""
        rate = self.learning_rate * learning_rate_factor(schedule, warmup, progress)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """All state as tensors, by name."""
        return {
            f"{number}.{parameter}.{key}": torch.as_tensor(value)
            for number, part in enumerate(self.parts)
            for parameter, entry in part.state_dict()["state"].items()
            for key, value in entry.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        for number, part in enumerate(self.parts):
            entries: dict[int, dict[str, Any]] = {}
            for name, value in state.items():
                owner, parameter, key = name.split(".", 2)
                if int(owner) == number:
                    is_count = key == "step" and isinstance(part, SparseAdam)  # it counts steps with a plain integer
                    entries.setdefault(int(parameter), {})[key] = int(value) if is_count else value
            part.load_state_dict({**part.state_dict(), "state": entries})

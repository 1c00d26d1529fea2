"""Refusing a sampler whose declared needs the model or the data do not meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.errors import ConfigError

if TYPE_CHECKING:
    from pictokg.sampling.base import Context, Sampler


def refuse_negative(**options: float) -> None:
    """ConfigError for an option below 0, or for one that is no number."""
    for name, value in options.items():
        if not value >= 0:
            raise ConfigError(f"{name} must be at least 0; got {value}")


def check_needs(sampler: Sampler, context: Context) -> None:
    """ConfigError where a sampler needs several views, or a modality, that the model or the data do not have."""
    name = type(sampler).__module__.rsplit(".", 1)[-1]
    if "views" in sampler.needs and len(context.model.encoder.views) < 2:
        raise ConfigError(
            f"sampler {name!r} needs a model whose entities have several views, one a modality, and those of"
            f" {context.model.name or 'this model'} have one; choose model ikrl, or another sampler"
        )
    for modality in sorted(sampler.needs - {"views", "labels", "features"}):
        if modality not in context.data.tables:
            there = ", ".join(context.data.tables) or "none"
            raise ConfigError(f"sampler {name!r} needs {modality} features; the data have: {there}")

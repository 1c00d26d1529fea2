"""Loading data for a verb, and telling people what was found and what to look out for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pictokg.cli.common import console, encoding_bars

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset


def load_for_people(
    source: str, features: Mapping[str, str], wanted: Callable[[Mapping[str, Any]], list[str]]
) -> Dataset:
    """Load a folder with the feature tables that are wanted, encoding those it lacks; show notes and warn of leaks.

    Args:
        source: data folder, or the name of a data set.
        features: modality → table or encoder, where the user named one.
        wanted: of the modalities that the folder can have, those to load.
    """
    from pictokg.audit.leakage import warn_if_leaking
    from pictokg.datasets.load import load
    from pictokg.errors import DataWarning

    screen = console()

    def say(line: str) -> None:
        screen.print(line, markup=False, soft_wrap=True)

    with encoding_bars(screen) as show:
        data = load(source, features=features, modalities=wanted, say=say, progress=show)
    for note in data.notes:
        say(f"note: {note}")
    for finding in warn_if_leaking(data.graph):
        warnings.warn(finding, DataWarning, stacklevel=1)
    graph = data.graph
    sizes = ", ".join(f"{len(triples):,} {name}" for name, triples in graph.splits.items())
    say(f"{data.name}: {graph.num_entities:,} entities, {graph.num_relations:,} relations; triples: {sizes}")
    return data

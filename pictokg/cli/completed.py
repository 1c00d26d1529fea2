"""What complete says of the facts it has written: how many, and how precise such facts were on held-out triples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from pictokg.prediction.completion import Completer, Fact

SHOWN = 40  # relations that are listed for people; JSON has all


class Kept:
    """Facts that pass by: how many of each relation, how improbable the least of them, the most probable for a page.

    Args:
        at_most: facts to keep.
    """

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self.count: Counter[str] = Counter()
        self.least: dict[str, float] = {}
        self._facts: list[Fact] = []

    def passing(self, facts: Iterator[Fact]) -> Iterator[Fact]:
        """Give the facts on as they come."""
        for fact in facts:
            self.count[fact.relation] += 1
            if fact.probability is not None:
                self.least[fact.relation] = min(fact.probability, self.least.get(fact.relation, 1.0))
            if self.at_most:
                self._facts.append(fact)
            if len(self._facts) > 50 * self.at_most > 0:
                self._facts = self.best()
            yield fact

    def best(self) -> list[Fact]:
        """The most probable, or those with the highest scores where there are no probabilities."""
        ordered = sorted(self._facts, key=lambda fact: -(fact.score if fact.probability is None else fact.probability))
        return list(islice(ordered, self.at_most))


def precision_of(kept: Kept, completer: Completer, threshold: float | None) -> dict[str, dict[str, Any]]:
    """Relation → the probability that its facts reach, the precision of held-out triples there, and whether of its own.

    Args:
        kept: what has been written; completer: with the calibration.
        threshold: the least probability that was asked for; None: that of the least probable fact written.
    """
    calibration, graph = completer.predictor.calibration, completer.graph
    if calibration is None:
        return {}
    found = {}
    for name, least in kept.least.items():
        relation, at = graph.relations.id(name), least if threshold is None else threshold
        found[name] = {
            "probability": at,
            "precision": calibration.precision(relation, at),
            "own": relation in calibration.by_relation,
        }
    return found


def table_of(kept: Kept, precision: dict[str, dict[str, Any]]) -> Table:
    """Make a table of the relations with the most new facts."""
    from rich.table import Table

    table = Table(box=None)
    for column in ("relation", "new facts", "from", "precision", "of"):
        side = "left" if column in ("relation", "of") else "right"
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]  # one of rich's literals
    for name, count in kept.count.most_common(SHOWN):
        said = precision[name]
        figure = "–" if said["precision"] is None else f"{said['precision']:.3f}"
        measured = "its own" if said["own"] else "all small ones"
        table.add_row(name, f"{count:,}", f"{said['probability']:.3f}", figure, measured)
    if len(kept.count) > SHOWN:
        table.add_row(f"… {len(kept.count) - SHOWN} more")
    return table

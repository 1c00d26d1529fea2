"""What a ranking evaluation found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.evaluation.metrics import Metrics, by_group, counted, summarise
from pictokg.evaluation.ranks import TIE_RULES, Ranks
from pictokg.evaluation.slices import KINDS, relation_kinds, slices_of
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.evaluation.options import RankingOptions

_NO_KIND = "not_in_training"


@dataclass(frozen=True, eq=False)
class Report:
    """Metrics of the head and tail questions of a split, over all and by group; groups also `count` them.

    Attributes:
        metrics: by the tie rule that was asked for: mrr, mr, hits@1, hits@3, hits@10, amr, amri; None where
            there were no questions.
        by_tie_rule: the same by all three rules.
        by_side: head, tail.
        by_relation: relation name → metrics, for the relations that were asked about.
        by_kind: 1-1, 1-n, n-1, n-n, and not_in_training where that was asked.
        slices: see `slices_of`; empty ones are there with a count of 0.
        relations: metrics of the questions (h, ?, t); None where they were not asked.
        protocol: what was asked and how.
        ranks: of every question, of all sides.
    """

    metrics: Metrics
    by_tie_rule: dict[str, Metrics]
    by_side: dict[str, Metrics]
    by_relation: dict[str, Metrics]
    by_kind: dict[str, Metrics]
    slices: dict[str, Metrics]
    relations: Metrics | None
    protocol: dict[str, Any]
    ranks: Ranks = field(repr=False)

    @staticmethod
    def of(ranks: Ranks, data: Dataset, split: str, options: RankingOptions) -> Report:
        """Sum up the ranks of a split."""
        of_relations = ranks.where(ranks.side == Side.RELATION)
        entities, triples = ranks.where(ranks.side != Side.RELATION), data.graph.split(split)
        values, candidates = entities.by(options.ties), entities.candidates
        relation = triples[entities.triple, Side.RELATION]
        sides = {side.name.lower(): entities.side == side for side in options.asked if side is not Side.RELATION}
        slices = slices_of(entities, triples, data)
        names = data.graph.relations.names
        return Report(
            metrics=summarise(values, candidates),
            by_tie_rule={rule: summarise(entities.by(rule), candidates) for rule in TIE_RULES},
            by_side={name: counted(values[mask], candidates[mask]) for name, mask in sides.items()},
            by_relation={names[id_]: found for id_, found in by_group(values, candidates, relation).items()},
            by_kind=_by_kind(values, candidates, _kinds(data)[relation]),
            slices={name: counted(values[mask], candidates[mask]) for name, mask in slices.items()},
            relations=counted(of_relations.by(options.ties), of_relations.candidates) if len(of_relations) else None,
            protocol=_protocol(data, split, options, len(entities)),
            ranks=ranks,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the ranks of single questions, ready for JSON."""
        return {name: value for name, value in vars(self).items() if name != "ranks"}

    def __str__(self) -> str:
        from pictokg.evaluation.render import as_text, ranking_tables

        return as_text(ranking_tables(self))


def _kinds(data: Dataset) -> np.ndarray:
    return relation_kinds(data.graph.split("train"), data.graph.num_entities, data.graph.num_relations)


def _by_kind(ranks: np.ndarray, candidates: np.ndarray, kind: np.ndarray) -> dict[str, Metrics]:
    names = (*KINDS, _NO_KIND)  # -1, of a relation without training triples, is the last
    masks = {name: kind == (number if name != _NO_KIND else -1) for number, name in enumerate(names)}
    return {
        name: counted(ranks[mask], candidates[mask]) for name, mask in masks.items() if name != _NO_KIND or mask.any()
    }


def _protocol(data: Dataset, split: str, options: RankingOptions, questions: int) -> dict[str, Any]:
    entities = data.graph.num_entities
    sampled = options.sampled is not None and options.sampled < entities
    return {
        "split": split,
        "filtered": options.filtered,
        "ties": options.ties,
        "sides": [side.name.lower() for side in options.asked],
        "questions": questions,
        "entities": entities,
        "candidates": options.sampled if sampled else entities,
        "sampled": sampled,
        "seed": options.seed if sampled else None,
    }

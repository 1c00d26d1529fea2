"""The audit of a data folder: every check, in one report that a person or a program reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pictokg.audit.coverage import Coverage, count_by_name, cover
from pictokg.audit.degree import Degree, degree
from pictokg.audit.duplicates import SplitCounts, count_splits
from pictokg.audit.features import cover_features
from pictokg.audit.findings import Finding, findings
from pictokg.audit.inverse_rule import InverseRule, inverse_rule
from pictokg.audit.kinds import count_kinds
from pictokg.audit.leakage import PairLeakage, pair_leakage
from pictokg.audit.numbers import AttributeNumbers, count_numbers
from pictokg.audit.pictures import BrokenPicture, undecodable
from pictokg.audit.unseen import Unseen, count_unseen

if TYPE_CHECKING:
    from pictokg.graph.read.folder import RawFolder


@dataclass(frozen=True)
class PictureAudit:
    """How many picture files there are, how many were opened, and which of these cannot be decoded."""

    files: int
    checked: int
    undecodable: list[BrokenPicture]


@dataclass(frozen=True)
class Audit:
    """All figures of an audit.

    `base` is the split that the others are held against, "train" where there is one. `leakage`, `unseen` and
    `inverse_rule` are empty for a graph of one split. `problems` says what is wrong with feature tables,
    `notes` what was skipped while reading.
    """

    entities: int
    relations: int
    base: str
    splits: dict[str, SplitCounts]
    leakage: dict[str, PairLeakage]
    inverse_rule: InverseRule | None
    unseen: dict[str, Unseen]
    kinds: dict[str, Any]
    degree: Degree
    coverage: dict[str, Coverage]
    numbers: dict[str, AttributeNumbers]
    pictures: PictureAudit
    problems: list[str]
    notes: list[str]

    @property
    def findings(self) -> list[Finding]:
        """What the figures mean, worst first."""
        return findings(self)

    @property
    def leaks(self) -> bool:
        """Whether figures measured on these splits mislead: they overlap, or a look-up answers test."""
        return any(finding.severity == "leak" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the whole report as nested dictionaries of plain values."""
        return {
            **asdict(self),
            "splits": {name: counts.as_json() for name, counts in self.splits.items()},
            "leakage": {name: leakage.as_json() for name, leakage in self.leakage.items()},
            "inverse_rule": self.inverse_rule.as_json() if self.inverse_rule else None,
            "findings": [asdict(finding) for finding in self.findings],
            "leaks": self.leaks,
        }


def audit(folder: RawFolder, *, decode_pictures: bool = True, progress: Callable[[int], None] | None = None) -> Audit:
    """Count all that makes figures measured on a data folder mislead, and all that is missing from it.

    Args:
        folder: as read by `read_folder`.
        decode_pictures: open every picture; the costly part.
        progress: called with the number of pictures opened so far.
    """
    graph = folder.graph
    base = "train" if "train" in graph.splits else next(iter(graph.splits))
    held_out = [name for name in graph.splits if name != base and len(graph.split(name))]
    tested = "test" if "test" in held_out else next(iter(held_out), None)
    features, problems = cover_features(folder.path, graph.entities)
    return Audit(
        entities=graph.num_entities,
        relations=graph.num_relations,
        base=base,
        splits=count_splits(graph),
        leakage={name: pair_leakage(graph, name, base) for name in held_out},
        inverse_rule=inverse_rule(graph, tested, base) if tested else None,
        unseen={name: count_unseen(graph, name, base) for name in held_out},
        kinds=count_kinds(graph, base),
        degree=degree(graph, base),
        coverage=_coverage(folder) | features,
        numbers=count_numbers(folder),
        pictures=_pictures(folder, decode_pictures, progress),
        problems=problems,
        notes=list(folder.notes),
    )


def _coverage(folder: RawFolder) -> dict[str, Coverage]:
    names = folder.graph.entities.names
    owned: dict[str, Mapping[str, int]] = {
        "label": {entity: int(bool(words)) for entity, words in folder.labels.items()},
        "description": {entity: int(bool(words)) for entity, words in folder.descriptions.items()},
        "numeric": Counter([] if folder.numeric is None else folder.numeric["entity"].to_list()),
        "pictures": {entity: len(files) for entity, files in folder.pictures.items()},
    }
    return {kind: cover(count_by_name(names, counts)) for kind, counts in owned.items()}


def _pictures(folder: RawFolder, decode: bool, progress: Callable[[int], None] | None) -> PictureAudit:
    files = [(entity, path) for entity, paths in folder.pictures.items() for path in paths]
    if not decode:
        return PictureAudit(len(files), 0, [])
    return PictureAudit(len(files), len(files), undecodable(files, progress=progress))

"""What the figures of an audit mean for whoever trains on the data, worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pictokg.audit.leakage import overlap_messages

if TYPE_CHECKING:
    from pictokg.audit.audit import Audit

INVERSE_LEAK = 0.5
"""Hits@1 of the inverse rule on test above which inverse relations count as a leak."""

Severity = Literal["leak", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One sentence, and whether it is a leak, a warning or a note."""

    severity: Severity
    message: str


def findings(audit: Audit) -> list[Finding]:
    """All that is worth saying about an audit: leaks, then warnings, then notes."""
    found = [
        *(Finding("leak", message) for message in overlap_messages(audit.splits)),
        *_inverse(audit),
        *_duplicates(audit),
        *_unseen(audit),
        *_pictures(audit),
        *(Finding("warning", problem) for problem in audit.problems),
        *(Finding("note", note) for note in audit.notes),
    ]
    return sorted(found, key=lambda finding: ("leak", "warning", "note").index(finding.severity))


def _inverse(audit: Audit) -> Iterator[Finding]:
    if audit.inverse_rule is None:
        return
    rule = audit.inverse_rule
    leakage = audit.leakage[rule.split]
    if not leakage.inverse:
        return
    first, tenth, mrr = (rule.metrics[name] or 0.0 for name in ("hits@1", "hits@10", "mrr"))
    severity: Severity = "leak" if first > INVERSE_LEAK else "warning" if first > INVERSE_LEAK / 5 else "note"
    yield Finding(
        severity,
        f"{leakage.inverse:,} of {leakage.rows:,} {rule.split} triples ({leakage.inverse_share:.1%}) have"
        f" their pair reversed in train; without learning, the inverse rule reaches Hits@1 {first:.3f},"
        f" Hits@10 {tenth:.3f}, MRR {mrr:.3f}",
    )


def _duplicates(audit: Audit) -> Iterator[Finding]:
    for name, counts in audit.splits.items():
        if counts.duplicates:
            yield Finding("warning", f"{name} repeats triples: {counts.duplicates:,} of its {counts.rows:,} rows")


def _unseen(audit: Audit) -> Iterator[Finding]:
    for name, unseen in audit.unseen.items():
        for rows, count, what in (
            (unseen.triples_with_unseen_entity, unseen.entities, "an entity"),
            (unseen.triples_with_unseen_relation, unseen.relations, "a relation"),
        ):
            if rows:
                yield Finding("warning", f"{rows:,} {name} triples have {what} that train lacks ({count:,} of them)")


def _pictures(audit: Audit) -> Iterator[Finding]:
    if audit.pictures.undecodable:
        broken, files = len(audit.pictures.undecodable), audit.pictures.files
        first = audit.pictures.undecodable[0]
        yield Finding(
            "warning",
            f"{broken:,} of {files:,} pictures cannot be decoded, first {first.path}: {first.reason}",
        )

"""New facts on one page, to accept or reject by key, with both entities' pictures and the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pictokg.files import write_text
from pictokg.report.markup import escape
from pictokg.report.pictures import thumbnails

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.prediction.calibration import Calibration
    from pictokg.prediction.completion import Fact
    from pictokg.prediction.predictor import Predictor

    Reason = Callable[[Fact], str]

_PICTURES = 2  # of an entity


def write_review(
    path: Path,
    data: Dataset,
    facts: Sequence[Fact],
    reason: Reason | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Write the page as one HTML file that loads nothing and needs nothing beside it.

    Args:
        path: the file. data: labels and pictures of the entities.
        facts: in the order to show them.
        reason: says in words why a fact may hold; "" where it does not know.
        calibration: what its probabilities mean.

    Raises:
        PictoKGError: the disk refuses.
    """
    write_text(path, render_review(data, facts, reason, calibration))


def render_review(
    data: Dataset, facts: Sequence[Fact], reason: Reason | None = None, calibration: Calibration | None = None
) -> str:
    """Put the page together; see `write_review`."""
    template = Template(files("pictokg.report").joinpath("review.html").read_text(encoding="utf-8"))
    entities: dict[str, str] = {}
    for name in dict.fromkeys(name for fact in facts for name in (fact.head, fact.tail)):
        entities[name] = _entity(data, name)
    cards = [_card(data, fact, entities, reason(fact) if reason else "") for fact in facts]
    names = "\n".join(f"{fact.head}\t{fact.relation}\t{fact.tail}" for fact in facts)
    return template.substitute(
        title=escape(f"New facts of {data.name}"),
        lede=_lede(len(facts), calibration),
        facts="\n".join(cards) or "<li>There are no new facts.</li>",
        key=blake2b(names.encode(), digest_size=8).hexdigest(),  # another page, other decisions
    )


def nearest_fact(predictor: Predictor) -> Reason:
    """Make reasons of the training fact of the same relation whose entities look most like those of a fact."""
    from pictokg.prediction.reasons import near_facts

    graph = predictor.data.graph

    def reason(fact: Fact) -> str:
        ids = graph.entities.id(fact.head), graph.relations.id(fact.relation), graph.entities.id(fact.tail)
        near = near_facts(predictor, ids, 1)
        if not near:
            return ""
        words = predictor.data.relation_labels.get(fact.relation) or fact.relation
        return f"like {near[0].head_label} – {words} – {near[0].tail_label} (similarity {near[0].similarity:.2f})"

    return reason


def _lede(count: int, calibration: Calibration | None) -> str:
    facts = f"{count:,} fact{'' if count == 1 else 's'} that the graph lacks, as the model proposes them."
    if calibration is None:
        return f"{facts} They have scores only: there was no validation split to calibrate probabilities on."
    return (
        f"{facts} A probability is the share of such triples that held, where {calibration.ratio:g} unknown"
        f" stood beside each true one on validation ({calibration.method})."
    )


def _card(data: Dataset, fact: Fact, entities: dict[str, str], reason: str) -> str:
    label = data.relation_labels.get(fact.relation) or fact.relation
    names = {"head": fact.head, "relation": fact.relation, "tail": fact.tail}
    chance = "" if fact.probability is None else f"{fact.probability:.6g}"
    attributes = "".join(f" data-{slot}='{escape(name)}'" for slot, name in names.items())
    said = escape(f"{data.label(fact.head)}, {label}, {data.label(fact.tail)}")
    return (
        f"<li class='fact' tabindex='0' aria-label='{said}'{attributes} data-probability='{chance}'>"
        f"<div class='entity'>{entities[fact.head]}</div>"
        f"<div class='relation'>{escape(label)}</div>"
        f"<div class='entity'>{entities[fact.tail]}</div>"
        f"<div class='chance'>{_chance(fact)}</div>"
        f"<p class='reason'>{escape(reason)}</p>"
        "<div class='choice'><button type='button' class='yes' value='accept' aria-pressed='false'>Accept</button>"
        "<button type='button' class='no' value='reject' aria-pressed='false'>Reject</button></div></li>"
    )


def _chance(fact: Fact) -> str:
    score = f"<small>score {fact.score:.3f}</small>".replace("-", "−")
    if fact.probability is None:
        return score
    width = f"{100 * fact.probability:.1f}%"
    said = "&gt; 99.9%" if 0.9995 <= fact.probability < 1 else width  # no model is certain
    return f"<strong>{said}</strong><span class='track'><span style='width: {width}'></span></span>{score}"


def _entity(data: Dataset, name: str) -> str:
    label = data.label(name)
    images = "".join(
        f"<img src='{uri}' alt='picture {number} of {escape(label)}'>"
        for number, uri in enumerate(thumbnails(list(data.pictures.get(name, ())), at_most=_PICTURES), start=1)
    )
    own = f"<small>{escape(name)}</small>" if label != name else ""
    return f"{images}<span>{escape(label)}{own}</span>"

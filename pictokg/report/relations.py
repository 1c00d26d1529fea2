"""MRR by relation: a strip a relation with a mark a model, sorted by what pictures and words bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.report.marks import colour, legend
from pictokg.report.markup import escape, figure, section

if TYPE_CHECKING:
    from pictokg.report.content import Content, ModelResult

Pair = tuple["ModelResult", "ModelResult"]
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def relations_chart(content: Content) -> str:
    """Draw a row a relation, with a bar from the best model on triples alone to the best with more."""
    plain, rich = content.best(multimodal=False), content.best(multimodal=True)
    pair = (plain, rich) if plain and rich else None
    reference = content.best()
    relations = dict.fromkeys(
        name for model in content.models for name in (model.evaluation or {}).get("by_relation") or {}
    )
    if not relations or reference is None:
        return ""
    value = {name: _gain(name, *pair) if pair else _mrr(name, reference) for name in relations}
    order = sorted(relations, key=lambda name: (-_or_least(value[name]), name))
    rows = "".join(_row(content, name, pair, value[name]) for name in order)
    table = (
        "<table class='strips'><caption class='unseen'>MRR by relation and model</caption><thead><tr>"
        f"<th scope='col'>relation</th><th scope='col' class='strip'>{_axis()}</th>"
        f"<th scope='col' class='figure'>{'gain' if pair else 'MRR'}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
    return section("Relations", _explanation(pair), legend(content), table)


def _explanation(pair: Pair | None) -> str:
    what = "MRR of the questions about each relation, a mark a model. The small number counts questions."
    if pair is None:
        return what
    plain, rich = (escape(model.name) for model in pair)
    return (
        f"{what} The bar leads from {plain}, the best from triples alone, to {rich}, the best with"
        " pictures or words; the gain is their difference."
    )


def _row(content: Content, relation: str, pair: Pair | None, value: float | None) -> str:
    label = content.relation_labels.get(relation) or relation
    counts = (model.metric("count", "by_relation", relation) for model in content.models)
    count = next((f"{count:,.0f}" for count in counts if count is not None), "")
    shown = figure(value) if pair is None or value is None else f"{value:+.3f}".replace("-", "−")
    return (
        f"<tr><th scope='row' title='{escape(relation)}'>{escape(label)} <small>{count}</small></th>"
        f"<td class='strip'>{_strip(content, relation, pair)}</td><td class='figure'>{shown}</td></tr>"
    )


def _strip(content: Content, relation: str, pair: Pair | None) -> str:
    """Put marks on a line from 0 to 1."""
    grid = "".join(f"<line class='grid' x1='{_place(tick)}' x2='{_place(tick)}' y1='0' y2='24'/>" for tick in _TICKS)
    marks, said = [], []
    for number, model in enumerate(content.models):
        mrr = _mrr(relation, model)
        said.append(f"{model.name} {figure(mrr)}")
        if mrr is None:
            continue
        radius = 5.5 if pair is not None and model in pair else 4
        fill = colour(number) if model.is_multimodal else "none"
        marks.append(
            f"<circle cx='{_place(mrr)}' cy='12' r='{radius}' stroke='{colour(number)}' fill='{fill}'>"
            f"<title>{escape(said[-1])}</title></circle>"
        )
    description = escape(f"MRR: {', '.join(said)}")
    drawn = f"{grid}{_bar(relation, pair)}{''.join(marks)}"
    return f"<svg class='strip' role='img' aria-label='{description}'>{drawn}</svg>"


def _bar(relation: str, pair: Pair | None) -> str:
    """From the best without pictures and words to the best with them."""
    ends = [_mrr(relation, model) for model in pair or ()]
    if None in ends or not ends:
        return ""
    start, end = (end or 0.0 for end in ends)
    direction = "gain" if end >= start else "loss"
    return f"<line class='{direction}' x1='{_place(start)}' x2='{_place(end)}' y1='12' y2='12'/>"


def _axis() -> str:
    numbers = "".join(f"<text x='{_place(tick)}' y='15' text-anchor='middle'>{tick:g}</text>" for tick in _TICKS)
    return f"<svg class='strip' role='img' aria-label='MRR from 0 to 1'>{numbers}</svg>"


def _place(mrr: float) -> str:
    """Where a value stands on the strip, with room for a mark at both ends."""
    return f"{4 + 92 * mrr:.2f}%"


def _mrr(relation: str, model: ModelResult) -> float | None:
    return model.metric("mrr", "by_relation", relation)


def _gain(relation: str, plain: ModelResult, rich: ModelResult) -> float | None:
    before, after = _mrr(relation, plain), _mrr(relation, rich)
    return None if before is None or after is None else after - before


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value

"""The parts of the page, top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pictokg.report.marks import legend, mark
from pictokg.report.markup import ABSENT, cell, escape, figure, scrolling_table, section
from pictokg.report.plots import Plot, draw, loss_plot, validation_plot

if TYPE_CHECKING:
    from pictokg.report.content import Content, DataSummary, Entity, NewFact

# metric → (title, digits, whether lower is better)
METRICS = {
    "mrr": ("MRR", 3, False),
    "hits@1": ("Hits@1", 3, False),
    "hits@3": ("Hits@3", 3, False),
    "hits@10": ("Hits@10", 3, False),
    "mr": ("MR", 1, True),
    "amri": ("AMRI", 3, False),
}
GROUPS = {"by_side": "Side", "by_kind": "Kind of relation", "slices": "Slice"}


def lede(content: Content) -> str:
    """Say the result in a sentence or two."""
    best, plain = content.best(), content.best(multimodal=False)
    if best is None:
        return "No model has been evaluated yet."
    sentence = f"<strong>{escape(best.name)}</strong> reaches an MRR of {figure(best.metric('mrr'))}"
    first = best.metric("hits@1")
    if first is not None:
        sentence += f" and puts a right answer first in {first:.0%} of the questions"
    if plain is not None and plain is not best:
        mrr = figure(plain.metric("mrr"))
        sentence += f"; from triples alone, the best is {escape(plain.name)} with an MRR of {mrr}"
    return sentence + "."


def data_facts(data: DataSummary) -> str:
    """List the sizes of the data set."""
    sizes = {"entities": data.entities, "relations": data.relations}
    sizes |= {f"{name} triples": size for name, size in data.splits.items()}
    items = [f"<div><dt>{escape(name)}</dt><dd>{size:,}</dd></div>" for name, size in sizes.items()]
    for name, number, share in (
        ("pictures", data.pictures, data.pictured),
        ("entities with words", data.described, data.described),
    ):
        of_all = f"<small>{share / data.entities:.0%} of entities</small>" if data.entities else ""
        items.append(f"<div><dt>{name}</dt><dd>{number:,} {of_all}</dd></div>")
    return f"<dl class='facts'>{''.join(items)}</dl>"


def models_table(content: Content) -> str:
    """List every model with its figures, the best in bold."""
    best = {
        name: _best([model.metric(name) for model in content.models], lower=lower)
        for name, (_, _, lower) in METRICS.items()
    }
    rows = []
    for number, model in enumerate(content.models):
        figures = "".join(
            cell(figure(model.metric(name), digits), best=model.metric(name) == best[name] is not None)
            for name, (_, digits, _) in METRICS.items()
        )
        rows.append(
            f"<tr><th scope='row'>{mark(content, number)}<small>{escape(', '.join(model.modalities))}</small>"
            f"</th>{figures}{cell(figure(model.seconds, 1))}</tr>"
        )
    header = ["model", *(title for title, _, _ in METRICS.values()), "seconds"]
    settings = [
        f"<dt>{escape(model.name)}</dt><dd><code>{escape(model.settings)}</code></dd>"
        for model in content.models
        if model.settings
    ]
    details = f"<details><summary>Settings</summary><dl class='settings'>{''.join(settings)}</dl></details>"
    return section(
        "Models",
        f"{_protocol(content)} Higher is better, but for MR, the mean rank. Best in bold; seconds are"
        " those of training.",
        scrolling_table("Figures of every model", header, rows),
        details if settings else "",
    )


def training_plots(content: Content) -> str:
    """Show loss and validation MRR while training."""
    parts = [
        _themed(plot, f"{plot.vertical} of each model against seconds of training")
        for plot in (loss_plot(content.models), validation_plot(content.models))
        if not plot.is_empty
    ]
    plots = f"<div class='plots'>{''.join(parts)}</div>" if parts else ""
    return section(
        "Training",
        "Solid lines learn from pictures or words too, dashed ones from triples alone.",
        legend(content) if parts else "",
        plots,
    )


def slices_table(content: Content) -> str:
    """Compare MRR by side, kind of relation and slice, a column a model."""
    rows = []
    for group, title in GROUPS.items():
        keys = _keys(content, group)
        if not keys:
            continue
        rows.append(f"<tr class='group'><th scope='colgroup' colspan='{len(content.models) + 2}'>{title}</th></tr>")
        for key in keys:
            values = [model.metric("mrr", group, key) for model in content.models]
            best = _best(values) if len(values) > 1 else None
            cells = "".join(cell(figure(value), best=value == best is not None) for value in values)
            name = escape(key.replace("_", " "))
            rows.append(f"<tr><th scope='row'>{name}</th>{cell(_count(content, group, key))}{cells}</tr>")
    header = ["MRR", "questions", *(mark(content, number) for number in range(len(content.models)))]
    return section(
        "Where it works",
        "MRR by what is asked. <em>With picture</em> and <em>with text</em> are about the answer;"
        " <em>inverse in training</em> means that training links the two entities the other way round;"
        " <em>unseen in training</em> that one of them is in no training triple.",
        scrolling_table("MRR by slice and model", header, rows) if rows else "",
    )


def facts_table(content: Content) -> str:
    """List new facts with the pictures of both entities."""
    rows = "".join(_fact(fact) for fact in content.new_facts)
    header = "".join(f"<th scope='col'>{title}</th>" for title in ("head", "relation", "tail", "score"))
    table = (
        "<table class='cards'><caption class='unseen'>New facts</caption>"
        f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return section(
        "New facts",
        f"What {escape(content.predicted_by) or 'the model'} answers where the graph has no answer, though most"
        " entities with the same other relations have one. Each fact is in no split, and nobody has checked them."
        " Scores compare answers about one relation; they are no probabilities.",
        table if rows else "",
    )


def notes_list(content: Content) -> str:
    """Say what the reader must know."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in content.notes)
    return f"<ul class='notes'>{notes}</ul>" if notes else ""


def footer(content: Content) -> str:
    """Say what it takes to get the same figures again."""
    versions = ", ".join(f"{escape(name)} {escape(number)}" for name, number in content.versions.items())
    return (
        f"<dl><dt>command</dt><dd><code>{escape(content.command)}</code></dd><dt>seed</dt><dd>{content.seed}</dd>"
        f"<dt>versions</dt><dd>{versions}</dd><dt>written</dt><dd>{escape(content.time)}</dd></dl>"
    )


def _themed(plot: Plot, description: str) -> str:
    light, dark = draw(plot, "light"), draw(plot, "dark")
    return (
        f"<picture><source media='(prefers-color-scheme: dark)' srcset='{dark}'>"
        f"<img src='{light}' alt='{escape(description)}'></picture>"
    )


def _protocol(content: Content) -> str:
    """Say what was asked and how; the models of a report are evaluated alike."""
    protocol: Mapping[str, object] = next(
        (
            model.evaluation["protocol"]
            for model in content.models
            if model.evaluation and "protocol" in model.evaluation
        ),
        {},
    )
    if not protocol:
        return ""
    kind = "filtered" if protocol.get("filtered") else "raw"
    among = f"{protocol.get('candidates', 0):,} {'sampled ' if protocol.get('sampled') else ''}entities"
    return (
        f"{protocol.get('questions', 0):,} questions of the {escape(str(protocol.get('split')))} split,"
        f" answers ranked among {among}, {kind}, {escape(str(protocol.get('ties')))} ranks."
    )


def _keys(content: Content, group: str) -> list[str]:
    """List every key of a group in any model, in order."""
    return list(dict.fromkeys(key for model in content.models for key in (model.evaluation or {}).get(group) or {}))


def _count(content: Content, group: str, key: str) -> str:
    counts = (model.metric("count", group, key) for model in content.models)
    return next((f"{count:,.0f}" for count in counts if count is not None), ABSENT)


def _best(values: list[float | None], *, lower: bool = False) -> float | None:
    there = [value for value in values if value is not None]
    if not there:
        return None
    return min(there) if lower else max(there)


def _fact(fact: NewFact) -> str:
    return (
        f"<tr><td data-title='head'>{_entity(fact.head)}</td>"
        f"<td data-title='relation'>{escape(fact.relation)} <span class='new'>new</span></td>"
        f"<td data-title='tail'>{_entity(fact.tail)}</td>"
        f"<td data-title='score' class='figure'>{figure(fact.score, 2)}</td></tr>"
    )


def _entity(entity: Entity) -> str:
    label = entity.label or entity.name
    images = "".join(
        f"<img src='{escape(uri)}' alt='{escape(label)}, picture {number}' loading='lazy'>"
        for number, uri in enumerate(entity.pictures, start=1)
    )
    width = "pictures two" if len(entity.pictures) > 1 else "pictures"
    pictures = f"<span class='{width}'>{images}</span>" if images else ""
    name = f" <small>{escape(entity.name)}</small>" if label != entity.name else ""
    return f"<div class='entity'>{pictures}<span>{escape(label)}{name}</span></div>"

"""A made-up report: seven models, more relations than a page likes, names that need escaping."""

from __future__ import annotations

import random
from typing import Any

from pictokg.report.content import Content, DataSummary, Entity, ModelResult, NewFact
from pictokg.report.pictures import data_uri

SCRIPT = "<script>alert('x')</script>"
PICTURE = data_uri(b"not looked at", "png")
MODELS = {
    "transe": ("structure",),
    "complex": ("structure",),
    "ikrl": ("structure", "image"),
    "gated-image": ("structure", "image"),
    "gated-text": ("structure", "text"),
    "gated-image-text": ("structure", "image", "text"),
}
RELATIONS = [f"relation_{number}" for number in range(26)]


def metrics(generator: random.Random, level: float, count: int | None = None) -> dict[str, Any]:
    """Figures around a level; distinct, so that each can be found on the page."""
    mrr = min(1.0, max(0.0, generator.gauss(level, 0.12)))
    found: dict[str, Any] = {} if count is None else {"count": count}
    hits = {f"hits@{k}": min(1.0, mrr * factor) for k, factor in ((1, 0.83), (3, 1.07), (10, 1.21))}
    return {**found, "mrr": mrr, "mr": 300 * (1 - mrr) + 1, **hits, "amr": 0.1, "amri": 1 - 0.1 * (1 - mrr)}


def evaluation(generator: random.Random, level: float) -> dict[str, Any]:
    """What `Report.to_dict()` gives."""
    slices = ("with_picture", "without_picture", "with_text", "inverse_in_training", "name_derived")
    counts = {name: 10 + 13 * place for place, name in enumerate(RELATIONS)}
    return {
        "metrics": {**metrics(generator, level), "mrr": level},
        "by_side": {side: metrics(generator, level, 3800) for side in ("head", "tail")},
        "by_relation": {name: metrics(generator, level, count) for name, count in counts.items()},
        "by_kind": {kind: metrics(generator, level, 1900) for kind in ("1-1", "1-n", "n-1", "n-n")},
        "slices": {
            **{name: metrics(generator, level, 1000) for name in slices},
            "unseen_in_training": {"count": 0, **dict.fromkeys(("mrr", "mr", "hits@1", "hits@10", "amri"))},
        },
        "relations": None,
        "protocol": {
            "split": "test", "filtered": True, "ties": "realistic",
            "questions": 7606, "candidates": 7095, "sampled": False,
        },
    }  # fmt: skip


def history(epochs: int, level: float) -> list[dict[str, Any]]:
    """A record an epoch, a validation every fifth."""
    records: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        record = {"epoch": epoch, "loss": 8 / (1 + 6 * share), "seconds": 0.4, "triples_per_second": 75000.0}
        records.append({**record, "validation": {"mrr": level * share**0.4}} if epoch % 5 == 0 else record)
    return records


def make_content(picture: str = PICTURE) -> Content:
    """Everything a report can show; its entities show one picture four times."""
    generator = random.Random(0)
    models = [
        ModelResult(
            name,
            modalities,
            settings=f"{name}: dim=128, epochs=40, learning_rate=0.1",
            history=history(20 + 5 * number, 0.38 + 0.06 * number),
            evaluation=evaluation(generator, 0.4013 + 0.0617 * number),
            seconds=8.25 + number,
        )
        for number, (name, modalities) in enumerate(MODELS.items())
    ]
    head = Entity("U+00C1", "LATIN CAPITAL LETTER A WITH ACUTE", (picture,) * 4)
    facts = [NewFact(head, "decomposes to base", Entity("category:Lu", "uppercase letter"), 12.345)]
    facts += [NewFact(head, "has <b>diacritic</b>", Entity(SCRIPT, "", (picture,)), -3.5)] * 2
    return Content(
        title="Glyphs & friends",
        models=models,
        data=DataSummary("glyphs", 7095, 26, {"train": 30427, "valid": 3803, "test": 3804}, 47492, 5700, 7095),
        seed=17,
        versions={"pictokg": "0.1.0", "torch": "2.13.0"},
        command=f"pictokg demo --out {SCRIPT}",
        time="2030-01-02 03:04 UTC",
        relation_labels={"relation_0": "has general category"},
        new_facts=facts,
        predicted_by="gated-image-text",
        notes=["A note the reader must know."],
    )

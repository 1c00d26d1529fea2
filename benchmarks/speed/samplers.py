"""How fast every sampler trains beside uniform, and what cross-modal attention costs once a relation.

Run with: python -m benchmarks.speed.samplers [--data FOLDER …] [--only NAME …] [--skip-attention] [--json]
Each sampler of the catalogue trains TransE (IKRL where it needs views, which `uniform` then trains as well) for some
steps at equal batch and, where it draws negatives, an equal number of them, both sides where it lets one choose; a loss
that reads labels where it needs that; `together` halves them between `uniform` and `nscaching`. Triples a second are of
the fastest pass after the first. Without --data the graph is the embedded one, glyphs.
Then `benchmarks.speed.attention`, with the relation mixes of the same folders.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from benchmarks.speed import attention

BATCH, NEGATIVES, STEPS = 400, 64, 12
PASSES, SECONDS = 20, 4.0  # at most so many, and for so long
OPTIONS = {"negatives": NEGATIVES, "alternate": False, "side": "both"}  # of those samplers that have them

JOINED = ("uniform", "nscaching")  # what `together` joins


def sampler_options(name: str) -> list[tuple[str, Any]]:
    """The options that make a sampler ask and draw as much as the others."""
    from pictokg import catalogue

    has = catalogue.options_of(catalogue.find("sampler", name))
    options = [(f"sampler.{key}", value) for key, value in OPTIONS.items() if key in has]
    if name != "together":
        return options
    options.append(("parts", ",".join(JOINED)))
    for part in JOINED:
        own = dict(sampler_options(part)) | {"sampler.negatives": NEGATIVES // len(JOINED)}
        options += [(key.replace("sampler.", f"parts.{part}."), value) for key, value in own.items()]
    return options


def model_for(name: str) -> str:
    """The model that a sampler trains here."""
    from pictokg import catalogue

    needs = catalogue.find("sampler", name).needs  # type: ignore[attr-defined]  # every sampler says
    return "ikrl" if "views" in needs else "transe"


def triples_per_second(name: str, model_name: str, data: Any) -> dict[str, Any]:
    """Train some steps with a sampler; its rate, or why it cannot."""
    from pictokg import catalogue
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure
    from pictokg.errors import ConfigError

    needs = catalogue.find("sampler", name).needs  # type: ignore[attr-defined]  # every sampler says
    loss = "softmax" if "labels" in needs else "self_adversarial"
    settings = [("dim", 128), ("epochs", PASSES), ("batch_size", BATCH), *sampler_options(name)]
    try:
        config = configure(model_name, parts={"sampler": name, "loss": loss}, settings=settings)
        trainer = build_trainer(config, build_model(config, data), data)
        rate = fastest_pass(trainer)
    except ConfigError as refusal:
        return {"sampler": name, "model": model_name, "refused": str(refusal)}
    return {"sampler": name, "model": model_name, "loss": loss, "triples_per_second": rate}


def fastest_pass(trainer: Any) -> float:
    """Triples a second of the fastest pass after the first; passes are made until they have taken SECONDS."""
    rates, start = [], time.perf_counter()
    for report in trainer.epochs():
        rates.append(report.triples_per_second)
        if len(rates) > 1 and time.perf_counter() - start > SECONDS:
            break
    return max(rates[1:])


def first_steps(data: Any) -> Any:
    """The same data with only so many training triples, spread over all, as the steps take."""
    from dataclasses import replace

    import numpy as np

    from pictokg.graph.graph import KnowledgeGraph

    graph = data.graph
    train = graph.split("train")
    chosen = np.random.default_rng(0).choice(len(train), size=min(len(train), BATCH * STEPS), replace=False)
    return replace(data, graph=KnowledgeGraph(graph.entities, graph.relations, {"train": train[np.sort(chosen)]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=[], help="data folders; by default the embedded data set")
    parser.add_argument("--only", nargs="*", default=[], help="samplers to measure, beside uniform")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--skip-attention", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    import torch

    import pictokg
    from pictokg import catalogue
    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(options.threads)
    names = ["uniform", *(name for name in catalogue.names("sampler") if name != "uniform")]
    names = [name for name in names if not options.only or name in {"uniform", *options.only}]
    rates = {}
    for source in options.data or ["glyphs"]:
        data = first_steps(pictokg.load(source))
        asked = dict.fromkeys(
            (base, model) for name in names for model in [model_for(name)] for base in ("uniform", name)
        )
        rates[source] = [triples_per_second(name, model, data) for name, model in asked]
        if not options.json:
            show(source, data, rates[source])
    rows = [] if options.skip_attention else attention.compare_mixes(options.data, options.threads)
    if options.json:
        print(json.dumps({"samplers": rates, "attention": rows}, indent=2))
    else:
        attention.show(rows)


def show(source: str, data: Any, rows: list[dict[str, Any]]) -> None:
    print(f"{source}: {data.graph}, batch {BATCH}, {NEGATIVES} negatives")
    base = {row["model"]: row.get("triples_per_second") for row in rows if row["sampler"] == "uniform"}
    for row in rows:
        if "refused" in row:
            print(f"  {row['sampler']:<16} refused: {row['refused']}")
            continue
        rate = row["triples_per_second"]
        of_uniform = rate / base[row["model"]]
        print(f"  {row['sampler']:<16} {row['model']:<8} {rate:>12,.0f} triples/s   {of_uniform:>6.2f} of uniform")


if __name__ == "__main__":
    main()

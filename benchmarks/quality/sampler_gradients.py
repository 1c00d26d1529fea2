"""How far from uniform MMRNS draws, and which way the model's loss pulls it.

    python -m benchmarks.quality.sampler_gradients --data FOLDER_OF_FOLDERS --out runs/samplers

Goes on from the same states as benchmarks.quality.samplers, at its plan's budget, with `mmrns` as released and with
`mmrns_plus` under each sign of the gradient. Then it reads the distributions q themselves, over candidates that are no
known answers: their effective number 1 / Σ q², as a share of the candidates, and by how much q's mean score is above
that of a uniform choice (more: harder negatives). Finished runs are kept.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.quality.samplers import PLAN, Trial, interval, load_graph, start_of, trainer_of

ROWS = [
    ("uniform", {}),
    ("mmrns", {}),
    ("mmrns", {"sampler.subsampling": True}),
    ("mmrns", {"sampler.temperature": 1.0, "sampler_learning_rate": 0.001}),
    ("mmrns_plus", {"gradient": "cooperative"}),
    ("mmrns_plus", {"gradient": "stopped"}),
    ("mmrns_plus", {"gradient": "adversarial"}),
]


def read(trainer: Any, seed: int) -> tuple[float, float]:
    """Share of the candidates that q makes use of, and its mean score above a uniform choice's."""
    import torch

    context, sampler = trainer.context, trainer.objective.sampler
    context.generator.manual_seed(seed)
    rows = torch.randperm(len(trainer.triples), generator=context.generator)[:256]
    shares, harder = [], []
    for query, answer in sampler.questions(trainer.triples[rows], context):
        drawn = sampler(query, answer, context).memory
        if drawn is None:
            return 1.0, 0.0
        pool = sampler.pool_of_step(context).ids
        if hasattr(drawn, "both"):
            q = sampler.distribution(drawn.alike, drawn.both, drawn.known)
        else:
            logits = sampler.logits(drawn.alike, context.step)
            q = logits.masked_fill(drawn.known, -torch.inf).softmax(dim=1)
        open_ = (~drawn.known).float()
        count = open_.sum(dim=1)
        scores = trainer.model.score(query, pool.expand(len(query), -1))
        shares.append((1 / q.square().sum(dim=1) / count).mean().item())
        harder.append(((q - open_ / count.unsqueeze(1)) * scores).sum(dim=1).mean().item())
        context.encode.clear()
    return mean(shares), mean(harder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--out", type=Path, default=Path("runs/samplers"))
    parser.add_argument("--graph", default="FashionIMG")
    parser.add_argument("--model", default="transe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", type=int, nargs="*", help="train only these rows of the table, counted from 0")
    arguments = parser.parse_args()
    import torch

    from pictokg.evaluation.ranking import evaluate
    from pictokg.memory import keep_freed_memory
    from pictokg.training.fit import fit

    keep_freed_memory()
    torch.set_num_threads(1)
    plan = tomllib.loads(PLAN.read_text())
    model = next(model for model in plan["models"] if model["name"] == arguments.model)
    data = load_graph(arguments.graph, plan, arguments.data)
    lines = []
    for number, (name, options) in enumerate(ROWS):
        sampler = {"name": name, "variants": [{"pool": 64, **options} if name != "uniform" else {}]}
        found = []
        for seed in arguments.seeds:
            file = arguments.out / arguments.graph / f"{arguments.model}-gradient-{number}-{seed}.json"
            if not file.exists() and (arguments.rows is None or number in arguments.rows):
                trial = Trial(arguments.graph, model, sampler, 0, seed)
                trainer = trainer_of(trial, plan, data, start_of(trial, plan, data, arguments.out))
                fit(trainer, data)
                mrr = evaluate(trainer.model, data, "test").to_dict()["metrics"]["mrr"]
                with torch.no_grad():
                    file.write_text(json.dumps([mrr, *read(trainer, seed)]))
            if file.exists():
                found.append(json.loads(file.read_text()))
        if found:
            cells = [interval(list(column)) for column in zip(*found, strict=True)]
            settings = ", ".join(f"{key}={value}" for key, value in options.items()) or "–"
            lines.append(f"| {name} | {settings} | {len(found)} | " + " | ".join(cells) + " |")
    print("| sampler | options | seeds | test mrr | share of candidates in use | mean score above uniform's |")
    print("| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines))


if __name__ == "__main__":
    main()

"""Every sampler with every model at equal budget: quality, seconds, memory, and what its negatives are like.

    python -m benchmarks.quality.samplers choose  --data FOLDER_OF_FOLDERS --out runs/samplers
    python -m benchmarks.quality.samplers confirm --data FOLDER_OF_FOLDERS --out runs/samplers
    python -m benchmarks.quality.samplers table   --out runs/samplers [--plot samplers.png]

The plan, benchmarks/quality/samplers.toml, says what is compared and how variants are chosen. `glyphs` is embedded; the
other graphs are folders below --data. Finished runs are kept, so a killed grid goes on; several processes may share a
folder.
`--graphs`, `--models` and `--samplers` restrict a call to some of them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

PLAN = Path(__file__).with_suffix(".toml")
ASKED_ALIKE = {"alternate": False, "side": "both"}  # options that make a sampler ask each triple from both sides
HEADER = ("sampler", "variant", "seeds", "mrr", "hits@1", "hits@3", "hits@10", "seconds", "peak MiB", "score gap")
HEADER += ("false negatives", "effective support")
QUESTIONS, REPEATS = 256, 64  # whose negatives are looked at, and how many times each is drawn for


@dataclass(frozen=True)
class Trial:
    """One run: a graph, a model, a sampler with one of its variants, a seed."""

    graph: str
    model: dict[str, Any]
    sampler: dict[str, Any]
    variant: int
    seed: int

    def file(self, out: Path) -> Path:
        """Where its figures are kept."""
        return out / self.graph / f"{self.model['name']}-{self.sampler['name']}-{self.variant}-{self.seed}.json"


def settings_of(trial: Trial, plan: dict[str, Any]) -> list[tuple[str, Any]]:
    """The settings of one run: the plan's, the model's, what asks and draws alike, then the variant's."""
    from pictokg import catalogue

    has = catalogue.options_of(catalogue.find("sampler", trial.sampler.get("sampler", trial.sampler["name"])))
    alike = {"negatives": plan["negatives"], **ASKED_ALIKE}
    settings: dict[str, Any] = {"learning_rate": trial.model["learning_rate"], **plan["settings"]}
    settings.update({f"sampler.{key}": value for key, value in alike.items() if key in has})
    if "loss" not in trial.sampler:
        settings.update({"loss.margin": trial.model["margin"], "loss.temperature": 0.0})
    settings.update(trial.sampler["variants"][trial.variant])
    return [*settings.items(), ("training.seed", trial.seed)]


def run(trial: Trial, plan: dict[str, Any], data: Any, *, tests: bool) -> dict[str, Any]:
    """Train, validate, test where that is due, and look at the negatives of the trained sampler."""
    import torch

    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure
    from pictokg.evaluation.ranking import evaluate
    from pictokg.training.fit import fit

    name = trial.sampler.get("sampler", trial.sampler["name"])
    parts = {"sampler": name, "loss": trial.sampler.get("loss", "self_adversarial"), "optimiser": "adam"}
    config = configure(trial.model["name"], parts=parts, settings=settings_of(trial, plan))
    model = build_model(config, data, seed=trial.seed)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = _memory("VmRSS")
    trainer = build_trainer(config, model, data)
    progress = fit(trainer, data)
    peak = _memory("VmHWM") - before
    valid = evaluate(model, data, "valid").to_dict()["metrics"]
    result = {
        "valid": valid,
        "seconds": sum(epoch["seconds"] for epoch in progress.history),
        "peak_mib": peak,
        "epochs": len(progress.history),
        "best_epoch": progress.best_epoch,
        "curve": [
            (round(sum(past["seconds"] for past in progress.history[: place + 1]), 2), epoch["validation"]["mrr"])
            for place, epoch in enumerate(progress.history)
            if "validation" in epoch
        ],
    }
    if tests:
        result["test"] = evaluate(model, data, "test").to_dict()["metrics"]
    with torch.no_grad():
        result["negatives"] = look_at_negatives(trainer, data, trial.seed)
    return result


def look_at_negatives(trainer: Any, data: Any, seed: int) -> dict[str, float]:
    """What the trained sampler draws: mean score beside the answer's, share that is true in valid or test, support.

    The effective support of a question is 1 / P(two draws are the same entity); its mean is that of the chances.
    """
    import torch

    context, sampler = trainer.context, trainer.objective.sampler
    generator = torch.Generator().manual_seed(seed)
    context.generator.manual_seed(seed)
    rows = torch.randperm(len(trainer.triples), generator=generator)[:QUESTIONS]
    held_out = data.known("valid", "test")
    gaps, true, drawn, collisions = [], 0.0, 0.0, []
    for query, answer in sampler.questions(trainer.triples[rows], context):
        draws = []
        for _ in range(REPEATS):
            context.encode.clear()
            negatives = sampler(query, answer, context)
            ids = negatives.ids if negatives.ids.dim() == 2 else negatives.ids.expand(len(query), -1)
            weight = torch.ones(ids.shape) if negatives.weight is None else (negatives.weight > 0).float()
            draws.append((ids, weight))
            if ids.shape[1] > 1000:
                break  # everything is a candidate: nothing is drawn
        ids, weight = (torch.cat(parts, dim=1) for parts in zip(*draws, strict=True))
        total = weight.sum(dim=1).clamp_min(1.0)
        true += float((held_out.contains(query, ids) * weight).sum())
        drawn += float(weight.sum())
        first, mask = draws[0]
        scores = trainer.model.score(query, first)
        own = trainer.model.score(query, answer.unsqueeze(1))
        gaps.append(float(((scores - own) * mask).sum() / mask.sum().clamp_min(1.0)))
        counts = torch.zeros(len(query), data.graph.num_entities).scatter_add_(1, ids, weight)
        pairs = (total * (total - 1)).clamp_min(1.0)
        collisions.append(float(((counts * (counts - 1)).sum(dim=1) / pairs).mean()))
    chance = mean(collisions)
    return {
        "score_gap": mean(gaps),
        "false_negatives": true / max(drawn, 1.0),
        "effective_support": 1.0 / chance if chance else math.inf,
    }


def trials_to_choose(plan: dict[str, Any], only: argparse.Namespace) -> Iterator[Trial]:
    """Every variant on the graphs to choose by."""
    for graph in _wanted(plan["choose"]["graphs"], only.graphs):
        for model, sampler in _pairs(plan, only):
            for variant in range(len(sampler["variants"])):
                yield Trial(graph, model, sampler, variant, plan["choose"]["seed"])


def trials_to_confirm(plan: dict[str, Any], only: argparse.Namespace) -> Iterator[Trial]:
    """The chosen variants with fresh seeds on all graphs, seed by seed."""
    for seed in plan["confirm"]["seeds"]:
        for graph in _wanted(plan["confirm"]["graphs"], only.graphs):
            for model, sampler in _pairs(plan, only):
                variant = chosen(plan, model, sampler, only.out)
                if variant is not None:
                    yield Trial(graph, model, sampler, variant, seed)


def chosen(plan: dict[str, Any], model: dict[str, Any], sampler: dict[str, Any], out: Path) -> int | None:
    """The variant with the higher mean validation MRR over those graphs to choose by where all are finished."""
    variants, seed = range(len(sampler["variants"])), plan["choose"]["seed"]
    means = []
    graphs = [
        graph
        for graph in plan["choose"]["graphs"]
        if all(Trial(graph, model, sampler, variant, seed).file(out).exists() for variant in variants)
    ]
    for variant in variants:
        files = [Trial(graph, model, sampler, variant, seed).file(out) for graph in graphs]
        results = [json.loads(file.read_text()) for file in files]
        means.append(mean([result["valid"]["mrr"] for result in results]) if results else -1.0)
    return max(variants, key=means.__getitem__) if graphs else None


def _pairs(plan: dict[str, Any], only: argparse.Namespace) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for model in plan["models"]:
        for sampler in plan["samplers"]:
            if _wanted([model["name"]], only.models) and _wanted([sampler["name"]], only.samplers):
                yield model, sampler


def _wanted(names: list[str], only: list[str] | None) -> list[str]:
    return [name for name in names if not only or name in only]


def _memory(field: str) -> float:
    """MiB, as Linux tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def run_all(trials: Iterator[Trial], plan: dict[str, Any], arguments: argparse.Namespace, *, tests: bool) -> None:
    """Run what is not finished and nobody else is running; a refusal is a result too."""
    from pictokg.datasets.load import load
    from pictokg.errors import PictoKGError

    loaded: dict[str, Any] = {}
    for trial in trials:
        file = trial.file(arguments.out)
        claim = file.with_suffix(".running")
        if file.exists() or claim.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        claim.touch()
        try:
            if trial.graph not in loaded:
                source = "glyphs" if trial.graph == "glyphs" else str(arguments.data / trial.graph)
                loaded = {trial.graph: load(source, say=print)}
            try:
                result = run(trial, plan, loaded[trial.graph], tests=tests)
            except PictoKGError as refusal:
                result = {"refused": str(refusal), "valid": {"mrr": 0.0}}
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(result, indent=1))
            temporary.replace(file)
        finally:
            claim.unlink(missing_ok=True)
        print(trial.graph, file.stem, f"{result['valid']['mrr']:.4f}", f"{result.get('seconds', 0):.0f} s", flush=True)


def print_tables(plan: dict[str, Any], only: argparse.Namespace) -> list[dict[str, Any]]:
    """A table a graph and model: test figures over the confirming seeds, costs, and what the negatives are like."""
    rows = []
    for graph in _wanted(plan["confirm"]["graphs"], only.graphs):
        for model in plan["models"]:
            lines = []
            for sampler in plan["samplers"]:
                variant = chosen(plan, model, sampler, only.out)
                if variant is None:
                    continue
                seeds = plan["confirm"]["seeds"]
                files = [Trial(graph, model, sampler, variant, seed).file(only.out) for seed in seeds]
                results = [json.loads(file.read_text()) for file in files if file.exists()]
                if results:
                    lines.append(_line(sampler, variant, results))
                    names = {"graph": graph, "model": model["name"], "sampler": sampler["name"]}
                    rows.append({**names, "results": results})
            if lines:
                print(f"\n**{graph}, {model['name']}**\n")
                print("| " + " | ".join(HEADER) + " |\n|" + " --- |" * len(HEADER))
                print("\n".join(lines))
    return rows


def _line(sampler: dict[str, Any], variant: int, results: list[dict[str, Any]]) -> str:
    """One row of the table."""
    name = sampler["name"]
    settings = ", ".join(f"{key}={value}" for key, value in sampler["variants"][variant].items()) or "default"
    if "refused" in results[0]:
        return f"| {name} | {settings} | {len(results)} | refused: {results[0]['refused']} |" + " – |" * 8
    cells = [interval([result["test"][key] for result in results]) for key in ("mrr", "hits@1", "hits@3", "hits@10")]
    cells += [f"{mean(result[key] for result in results):.0f}" for key in ("seconds", "peak_mib")]
    seen = [result["negatives"] for result in results]
    cells.append(f"{mean(one['score_gap'] for one in seen):.2f}")
    cells.append(f"{mean(one['false_negatives'] for one in seen):.3%}")
    support = mean(one["effective_support"] for one in seen)
    cells.append(f"{support:,.0f}" if math.isfinite(support) else "all")
    return f"| {name} | {settings} | {len(results)} | " + " | ".join(cells) + " |"


def interval(values: list[float]) -> str:
    """The mean, ± half the width of the 95 % confidence interval of the mean (Student's t)."""
    if len(values) < 2:
        return f"{mean(values):.3f}"
    t = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}.get(len(values), 2.0)
    return f"{mean(values):.3f} ± {t * stdev(values) / math.sqrt(len(values)):.3f}"


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """MRR on test against seconds of training, a panel a graph and model."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = sorted({(row["graph"], row["model"]) for row in rows})
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.2 * columns, 3.4 * lines), squeeze=False)
    for axis, (graph, model) in zip(axes.flat, panels, strict=False):
        for row in rows:
            results = [result for result in row["results"] if "test" in result]
            if (row["graph"], row["model"]) == (graph, model) and results:
                x = mean(result["seconds"] for result in results)
                y = mean(result["test"]["mrr"] for result in results)
                axis.plot(x, y, "o", color="tab:blue")
                axis.annotate(row["sampler"], (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
        axis.set(xscale="log", xlabel="seconds of training", ylabel="test MRR", title=f"{graph}, {model}")
        axis.margins(x=0.25, y=0.12)
    for axis in list(axes.flat)[len(panels) :]:
        axis.remove()
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["choose", "confirm", "table"])
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--out", type=Path, default=Path("runs/samplers"))
    parser.add_argument("--graphs", nargs="+")
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--samplers", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    plan = tomllib.loads(PLAN.read_text())
    if arguments.what == "table":
        rows = print_tables(plan, arguments)
        if arguments.plot:
            plot(rows, arguments.plot)
        return
    import torch

    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    find = trials_to_choose if arguments.what == "choose" else trials_to_confirm
    run_all(find(plan, arguments), plan, arguments, tests=arguments.what == "confirm")


if __name__ == "__main__":
    main()

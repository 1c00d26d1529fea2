"""Every sampler with every model at equal budget: quality, seconds, memory, and what its negatives are like.

    python -m benchmarks.quality.samplers choose  --data FOLDER_OF_FOLDERS --out runs/samplers
    python -m benchmarks.quality.samplers confirm --data FOLDER_OF_FOLDERS --out runs/samplers
    python -m benchmarks.quality.samplers table   --out runs/samplers [--plot samplers.png]

The plan, benchmarks/quality/samplers.toml, says what is compared and how variants are chosen. `glyphs` is embedded; the
other graphs are folders below --data. Finished runs are kept, so a killed grid goes on; several processes may share a
folder. `--graphs`, `--models` and `--samplers` restrict a call to some of them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

PLAN = Path(__file__).with_suffix(".toml")
# Options that make a sampler ask each triple from both sides, and weigh all questions alike
ASKED_ALIKE = {"alternate": False, "side": "both", "subsampling": False}
HEADER = ("sampler", "variant", "seeds", "mrr", "beside uniform", "hits@1", "hits@3", "hits@10", "seconds", "peak MiB")
HEADER += ("score gap", "false negatives", "effective support")
START = {"name": "start", "sampler": "uniform", "variants": [{}]}
QUESTIONS, DRAWS = 128, 512  # whose negatives are looked at, and how many are drawn for each at least


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

    def start(self) -> Trial:
        """The run that it goes on from."""
        return replace(self, sampler=START, variant=0)


def settings_of(trial: Trial, plan: dict[str, Any], triples: int) -> list[tuple[str, Any]]:
    """The settings of one run: the plan's, the model's, what asks and draws alike, then the variant's.

    An epoch is `triples` long; whole epochs come nearest to the plan's number of triples.
    """
    from pictokg import catalogue

    has = catalogue.options_of(catalogue.find("sampler", trial.sampler.get("sampler", trial.sampler["name"])))
    alike = {"negatives": plan["negatives"], **ASKED_ALIKE}
    settings: dict[str, Any] = {"learning_rate": trial.model["learning_rate"], **plan["settings"]}
    wanted = plan["start"] if trial.sampler is START else plan["triples"] * trial.sampler.get("passes", 1)
    settings["epochs"] = max(1, round(wanted / triples))
    settings.update({f"sampler.{key}": value for key, value in alike.items() if key in has})
    if "loss" not in trial.sampler:
        settings.update({"loss.margin": trial.model["margin"], "loss.temperature": 0.0})
    settings.update(trial.sampler["variants"][trial.variant])
    return [*settings.items(), ("training.seed", trial.seed)]


def start_of(trial: Trial, plan: dict[str, Any], data: Any, out: Path) -> dict[str, Any]:
    """What all samplers of a graph, model and seed go on from: parameters and the state of their optimisers."""
    import torch

    from pictokg.training.fit import fit

    file = trial.start().file(out).with_suffix(".pt")
    if not file.exists():
        trainer = trainer_of(trial.start(), plan, data)
        fit(trainer, data)
        optimisers = trainer.optimisers
        saved = [part.state_dict() for part, _ in optimisers.parts[: optimisers.of_model]]
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        torch.save({"model": trainer.model.state_dict(), "optimisers": saved}, temporary)
        temporary.replace(file)
    return torch.load(file)


def trainer_of(trial: Trial, plan: dict[str, Any], data: Any, start: dict[str, Any] | None = None) -> Any:
    """The trainer of a run, with the parameters and the optimisers' state that it goes on from."""
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure

    name = trial.sampler.get("sampler", trial.sampler["name"])
    parts = {"sampler": name, "loss": trial.sampler.get("loss", "self_adversarial"), "optimiser": plan["optimiser"]}
    settings = settings_of(trial, plan, len(data.graph.split("train")))
    config = configure(trial.model["name"], parts=parts, settings=settings)
    model = build_model(config, data, seed=trial.seed)
    if start:
        model.load_state_dict(start["model"])
    trainer = build_trainer(config, model, data)
    for (part, _), state in zip(trainer.optimisers.parts, start["optimisers"] if start else [], strict=False):
        part.load_state_dict(state)
    return trainer


def run(trial: Trial, plan: dict[str, Any], data: Any, out: Path, *, tests: bool) -> dict[str, Any]:
    """Train on from the common start; validate, or test and look at the negatives of the trained sampler."""
    import torch

    from pictokg.evaluation.ranking import evaluate
    from pictokg.memory import give_back_memory
    from pictokg.training.fit import fit

    start = start_of(trial, plan, data, out)
    give_back_memory()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before, clock = _memory("VmRSS"), [time.process_time()]
    trainer = trainer_of(trial, plan, data, start)
    clock.append(time.process_time())
    progress = fit(trainer, data, on_epoch=lambda record: clock.append(time.process_time()))
    epochs = [later - earlier for earlier, later in pairwise(clock[1:])]
    result = {
        # The first epoch may load what is compiled, hence the median.
        "seconds": clock[1] - clock[0] + median(epochs) * len(epochs),
        "wall": sum(epoch["seconds"] for epoch in progress.history),
        "peak_mib": _memory("VmHWM") - before,
        "steps": trainer.context.step,
        "loss": progress.history[-1]["loss"],
    }
    if not tests:
        return {"valid": evaluate(trainer.model, data, "valid").to_dict()["metrics"], **result}
    result["test"] = evaluate(trainer.model, data, "test").to_dict()["metrics"]
    with torch.no_grad():
        result["negatives"] = look_at_negatives(trainer, data, trial.seed)
    return result


def look_at_negatives(trainer: Any, data: Any, seed: int) -> dict[str, float]:
    """What the trained sampler draws: mean score beside the answer's, share that is true in valid or test, support.

    The effective support of a question is 1 / P(two draws are the same entity); its mean is that of the chances. A
    sampler that draws from a pool is looked at inside one pool of `among` entities.
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
        while sum(ids.shape[1] for ids, _ in draws) < DRAWS:
            context.encode.clear()
            negatives = sampler(query, answer, context)
            ids = negatives.ids if negatives.ids.dim() == 2 else negatives.ids.expand(len(query), -1)
            weight = torch.ones(ids.shape) if negatives.weight is None else (negatives.weight > 0).float()
            draws.append((ids, weight))
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
        "among": min(getattr(sampler, "pool", data.graph.num_entities), data.graph.num_entities),
    }


def trials_to_choose(plan: dict[str, Any], only: argparse.Namespace) -> Iterator[Trial]:
    """Every variant, where there are several, on the graphs to choose by, of the models that choose for themselves."""
    for graph in _wanted(plan["choose"]["graphs"], only.graphs):
        for model, sampler in _pairs(plan, graph, only):
            if "chosen_by" not in model and len(sampler["variants"]) > 1:
                for variant in range(len(sampler["variants"])):
                    yield Trial(graph, model, sampler, variant, plan["choose"]["seed"])


def trials_to_confirm(plan: dict[str, Any], only: argparse.Namespace) -> Iterator[Trial]:
    """The chosen variants with fresh seeds, graph by graph and seed by seed."""
    for graph in _wanted(plan["confirm"]["graphs"], only.graphs):
        for seed in plan["confirm"]["seeds"]:
            for model, sampler in _pairs(plan, graph, only):
                variant = chosen(plan, model, sampler, only.out)
                if variant is not None:
                    yield Trial(graph, model, sampler, variant, seed)


def chosen(plan: dict[str, Any], model: dict[str, Any], sampler: dict[str, Any], out: Path) -> int | None:
    """The variant with the higher mean validation MRR over the graphs to choose by; None before they are finished."""
    variants, seed = range(len(sampler["variants"])), plan["choose"]["seed"]
    if len(variants) == 1:
        return 0
    chooser = {"name": model.get("chosen_by", model["name"])}
    graphs = [graph for graph in plan["choose"]["graphs"] if graph in sampler.get("graphs", [graph])]
    means = []
    for variant in variants:
        files = [Trial(graph, chooser, sampler, variant, seed).file(out) for graph in graphs]
        if not all(file.exists() for file in files):
            return None
        means.append(mean(json.loads(file.read_text())["valid"]["mrr"] for file in files))
    return max(variants, key=means.__getitem__)


def _pairs(
    plan: dict[str, Any], graph: str, only: argparse.Namespace
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Models and samplers that the plan has for a graph."""
    for model in plan["models"]:
        for sampler in plan["samplers"]:
            asked = _wanted([model["name"]], only.models) and _wanted([sampler["name"]], only.samplers)
            fits = graph in model.get("graphs", [graph]) and graph in sampler.get("graphs", [graph])
            if asked and fits and model["name"] in sampler.get("models", [model["name"]]):
                yield model, sampler


def _wanted(names: list[str], only: list[str] | None) -> list[str]:
    return [name for name in names if not only or name in only]


def _memory(field: str) -> float:
    """MiB, as Linux tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def load_graph(graph: str, plan: dict[str, Any], folder: Path) -> Any:
    """A graph with the feature tables that the plan names."""
    from pictokg.datasets.load import load

    source = "glyphs" if graph == "glyphs" else str(folder / graph)
    return load(source, features=plan["features"].get(graph), say=print)


def run_all(trials: Iterator[Trial], plan: dict[str, Any], arguments: argparse.Namespace, *, tests: bool) -> None:
    """Run what is not finished and nobody else is running; a refusal is a result too."""
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
                loaded = {trial.graph: load_graph(trial.graph, plan, arguments.data)}
            try:
                result = run(trial, plan, loaded[trial.graph], arguments.out, tests=tests)
            except PictoKGError as refusal:
                result = {"refused": str(refusal), "valid": {"mrr": 0.0}, "test": {"mrr": 0.0}}
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(result, indent=1))
            temporary.replace(file)
        finally:
            claim.unlink(missing_ok=True)
        mrr = result["test" if tests else "valid"]["mrr"]
        print(trial.graph, file.stem, f"{mrr:.4f}", f"{result.get('seconds', 0):.1f} s", flush=True)


def print_tables(plan: dict[str, Any], only: argparse.Namespace) -> list[dict[str, Any]]:
    """A table a graph and model: test figures over the confirming seeds, costs, and what the negatives are like."""
    rows = []
    for graph in _wanted(plan["confirm"]["graphs"], only.graphs):
        found: dict[str, list[tuple[dict[str, Any], int | None, dict[int, Any]]]] = {}
        for model, sampler in _pairs(plan, graph, only):
            variant = chosen(plan, model, sampler, only.out)
            trials = [Trial(graph, model, sampler, variant or 0, seed) for seed in plan["confirm"]["seeds"]]
            files = {trial.seed: trial.file(only.out) for trial in trials if variant is not None}
            results = {seed: json.loads(file.read_text()) for seed, file in files.items() if file.exists()}
            found.setdefault(model["name"], []).append((sampler, variant, results))
            rows.append({"graph": graph, "model": model["name"], "sampler": sampler["name"], "results": results})
        for name, lines in found.items():
            if any(results for _, _, results in lines):
                print(f"\n**{graph}, {name}**\n")
                print("| " + " | ".join(HEADER) + " |\n|" + " --- |" * len(HEADER))
                print("\n".join(_line(sampler, variant, results, lines[0][2]) for sampler, variant, results in lines))
    return rows


def _line(sampler: dict[str, Any], variant: int | None, found: dict[int, Any], uniform: dict[int, Any]) -> str:
    """One row of the table; what is not finished is called so."""
    name = sampler["name"]
    options = sampler["variants"][variant or 0]
    settings = ", ".join(f"{key}={value}" for key, value in options.items()) or "–"
    results = list(found.values())
    if not results:
        return f"| {name} | – | 0 | not run |" + " – |" * (len(HEADER) - 4)
    if "refused" in results[0]:
        return f"| {name} | {settings} | {len(results)} | refused: {results[0]['refused']} |" + " – |" * 9
    cells = [interval([result["test"][key] for result in results]) for key in ("mrr", "hits@1", "hits@3", "hits@10")]
    pairs = [found[seed]["test"]["mrr"] - uniform[seed]["test"]["mrr"] for seed in found if seed in uniform]
    cells.insert(1, interval(pairs, sign="+") if pairs and name != "uniform" else "–")
    cells += [f"{median(result['seconds'] for result in results):.1f}"]
    cells += [f"{median(result['peak_mib'] for result in results):.0f}"]
    seen = [result["negatives"] for result in results]
    cells.append(f"{mean(one['score_gap'] for one in seen):.2f}")
    cells.append(f"{mean(one['false_negatives'] for one in seen):.2%}")
    support = mean(one["effective_support"] for one in seen)
    shown = f"{support:,.0f}" if math.isfinite(support) else "all"
    cells.append(shown if "pool" not in options else f"{shown} of {seen[0]['among']}")
    return f"| {name} | {settings} | {len(results)} | " + " | ".join(cells) + " |"


def interval(values: list[float], sign: str = "") -> str:
    """The mean, ± half the width of the 95 % confidence interval of the mean (Student's t)."""
    if len(values) < 2:
        return f"{mean(values):{sign}.3f}"
    t = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}.get(len(values), 2.0)
    return f"{mean(values):{sign}.3f} ± {t * stdev(values) / math.sqrt(len(values)):.3f}"


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """MRR on test against seconds of training, a panel a graph and model, a marker a sampler."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    found = [row for row in rows if any("seconds" in result for result in row["results"].values())]
    panels = list(dict.fromkeys((row["graph"], row["model"]) for row in found))
    names = list(dict.fromkeys(row["sampler"] for row in found))
    colours, columns = plt.get_cmap("tab20").colors, min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.3 * columns, 3.6 * lines + 0.8), squeeze=False)
    for axis in list(axes.flat)[len(panels) :]:
        axis.remove()
    for axis, (graph, model) in zip(axes.flat, panels, strict=False):
        for row in found:
            if (row["graph"], row["model"]) == (graph, model):
                results, place = row["results"].values(), names.index(row["sampler"])
                x = median(result["seconds"] for result in results)
                y = mean(result["test"]["mrr"] for result in results)
                axis.plot(x, y, "os^Dv*P"[place % 7], color=colours[place], label=row["sampler"], markersize=8)
        axis.set(xscale="log", title=f"{graph}, {model}", xlabel="seconds of one core", ylabel="test MRR")
        axis.grid(alpha=0.3)
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2 * columns)
    figure.set_layout_engine("constrained")
    figure.savefig(file, dpi=80)


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

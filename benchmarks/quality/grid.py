"""Run a plan: every row with every seed, model selection on valid, figures on test.

    python -m benchmarks.quality.grid benchmarks/quality/glyphs.toml --data FOLDER_OR_glyphs --out runs/quality
    python -m benchmarks.quality.grid benchmarks/quality/glyphs.toml --out runs/quality --table     # only print

A plan names the protocol, the seeds and the rows: model, settings, for models with several score terms which of them
to rank with, where a row starts from the vectors of another (`start`) or takes what another has learned and trains
nothing (`of`), which must stand before it, and features other than the plan's (`features`). Finished (row, seed)
pairs are kept, so a killed grid goes on; several processes may share a folder. A plan for several data sets keeps
those that it does not name in folders of their own. `--epochs 1` tries whether every row starts, in a folder of its
own, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tomllib
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from pictokg.graph.names import write_names

SHOWN = ("mrr", "hits@1", "hits@3", "hits@10", "mr")


def run_row(row: dict[str, Any], seed: int, data: Any, file: Path, *, classifies: bool, epochs: int = 0) -> None:
    """Train one row with one seed, evaluate it on test under each set of terms, write the figures."""
    from pictokg.assembly import build_model
    from pictokg.config import configure
    from pictokg.evaluation.classification import classify
    from pictokg.evaluation.ranking import evaluate
    from pictokg.training.warm_start import warm_start

    settings = [*row.get("settings", {}).items(), ("training.seed", seed)]
    if epochs:
        settings.append(("training.epochs", epochs))
    config = configure(row["model"], settings=settings)
    model = build_model(config, data, seed=seed)
    if "start" in row:
        warm_start(model, data, file.parent / f"{row['start']}-{seed}")
    if "of" in row:
        learned = take(config, model, data, file.parent / f"{row['of']}-{seed}")
    else:
        learned = train(config, model, data, file.with_suffix(""))
    figures: dict[str, Any] = {}
    for terms in row.get("terms", [""]):
        if terms:
            model.use_terms(terms)
        report = evaluate(model, data, "test").to_dict()
        figures[terms] = {key: report[key] for key in ("metrics", "by_relation", "slices")}
        if classifies:
            figures[terms]["accuracy"] = classify(model, data, seed=seed).to_dict()["accuracy"]
    result = {
        "row": row["name"],
        "seed": seed,
        "config": {section: dict(options) for section, options in config.sections.items()},
        **learned,
        "test": figures,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(file)


def train(config: Any, model: Any, data: Any, kept: Path) -> dict[str, float]:
    """Train, with the run's files in a folder; how it went."""
    from pictokg.assembly import build_trainer
    from pictokg.training.fit import fit

    shutil.rmtree(kept, ignore_errors=True)
    write_names(kept / "entities.txt", data.graph.entities)
    write_names(kept / "relations.txt", data.graph.relations)
    progress = fit(build_trainer(config, model, data), data, folder=kept)
    seconds = sum(epoch["seconds"] for epoch in progress.history)
    return {
        "epochs": len(progress.history),
        "best_epoch": progress.best_epoch,
        "valid_mrr": progress.best_mrr,
        "seconds": seconds,
    }


def take(config: Any, model: Any, data: Any, other: Path) -> dict[str, float]:
    """Take the best parameters of another row, which was trained alike, and validate them as training does."""
    from pictokg.evaluation.ranking import evaluate
    from pictokg.training.checkpoint import load_parameters, load_tensors
    from pictokg.training.fit import best_path, validation_data

    load_parameters(model, load_tensors(best_path(other))[0], best_path(other))
    options = config.options("training")
    validation = validation_data(data, options["validation_triples"], options["seed"])
    trained = json.loads(other.with_name(f"{other.name}.json").read_text())
    mrr = evaluate(model, validation, "validation").metrics["mrr"] if validation else None
    return {"epochs": trained["epochs"], "best_epoch": trained["best_epoch"], "valid_mrr": mrr, "seconds": 0.0}


def print_table(plan: dict[str, Any], out: Path) -> None:
    """Print mean ± standard deviation over the seeds, a line a row and set of terms."""
    groups = plan.get("slices", [])
    accuracies = ["micro", "macro"] if plan.get("classify") else []
    header = ["row", "seeds", "valid mrr", *SHOWN, *(f"mrr {name}" for name in groups)]
    header += [*(f"accuracy {name}" for name in accuracies), "seconds"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for row in plan["rows"]:
        files = [out / f"{row['name']}-{seed}.json" for seed in plan["seeds"]]
        results = [json.loads(file.read_text()) for file in files if file.exists()]
        for terms in row.get("terms", [""]) if results else []:
            tests = [result["test"][terms] for result in results]
            cells = [row["name"] + (f" {terms.upper()}" if terms else ""), str(len(results))]
            cells.append(spread([result["valid_mrr"] for result in results]))
            cells += [spread([test["metrics"][key] for test in tests]) for key in SHOWN]
            cells += [spread([test["slices"].get(name, {}).get("mrr") for test in tests]) for name in groups]
            cells += [spread([test["accuracy"][name] for test in tests]) for name in accuracies]
            print("| " + " | ".join([*cells, f"{mean(result['seconds'] for result in results):.0f}"]) + " |")


def spread(values: list[float | None]) -> str:
    """Mean ± standard deviation."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "–"
    digits = 1 if mean(numbers) > 2 else 3
    text = f"{mean(numbers):.{digits}f}"
    return text + (f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else "")


def load(source: str, features: dict[str, str]) -> Any:
    from pictokg.datasets.load import load as load_data

    return load_data(source, features=features, say=print)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--data", help="data folder, or glyphs; the plan's by default")
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", help="only these seeds of the plan")
    parser.add_argument("--table", action="store_true", help="print the table of what is finished, run nothing")
    parser.add_argument("--rows", nargs="+", help="only these rows of the plan")
    parser.add_argument("--epochs", type=int, default=0, help="a trial of so many epochs, instead of the rows' own")
    arguments = parser.parse_args()
    plan = tomllib.loads(arguments.plan.read_text())
    source = arguments.data or plan["data"]
    other = "" if Path(source).name == Path(plan["data"]).name else f"-{Path(source).name}"
    out = arguments.out / f"{arguments.plan.stem}{other}{'-trial' if arguments.epochs else ''}"
    if arguments.rows:
        plan["rows"] = [row for row in plan["rows"] if row["name"] in arguments.rows]
    if not arguments.table:
        import torch

        from pictokg.memory import keep_freed_memory

        keep_freed_memory()
        if arguments.threads:
            torch.set_num_threads(arguments.threads)
        loaded: dict[str, Any] = {}
        for seed in arguments.seeds or plan["seeds"]:
            for row in plan["rows"]:
                file = out / f"{row['name']}-{seed}.json"
                claim = file.with_suffix(".running")
                if file.exists() or claim.exists():
                    continue
                out.mkdir(parents=True, exist_ok=True)
                claim.touch()
                print(f"{row['name']}, seed {seed}", flush=True)
                features = {**plan.get("features", {}), **row.get("features", {})}
                try:
                    if str(features) not in loaded:
                        loaded[str(features)] = load(source, features)
                    data = loaded[str(features)]
                    run_row(row, seed, data, file, classifies=plan.get("classify", False), epochs=arguments.epochs)
                finally:
                    claim.unlink(missing_ok=True)
    print_table(plan, out)


if __name__ == "__main__":
    main()

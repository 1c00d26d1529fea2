"""Training on a table larger than its memory budget, beside the same training in memory: rate, memory, and MRR.

Run with: python -m benchmarks.speed.larger_than_memory [--entities 400000] [--times 4] [--scratch FOLDER] [--json]
          python -m benchmarks.speed.larger_than_memory --data FB15k-237 --epochs 10      (MRR beside MRR)

DistMult, d 128, softmax, 64 negatives shared by chunks of 64, row-wise Adagrad. The budget is the table with its state
divided by `--times`; both ways train whole epochs in processes of their own, by turns, medians. MiB are the peak over
what the process held once it had the graph. With --data both rank the test split at the end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any


def data_of(arguments: argparse.Namespace) -> Any:
    from benchmarks.speed.generated import zipf_graph

    if arguments.data:
        import pictokg

        return pictokg.load(arguments.data, modalities=[])
    return zipf_graph(arguments.entities, 10 * arguments.entities)


def config_of(arguments: argparse.Namespace, seed: int, memory_budget: int = 0) -> Any:
    from pictokg.config import configure

    settings = {"dim": arguments.dim, "epochs": arguments.epochs, "batch_size": arguments.batch, "learning_rate": 0.1}
    settings |= {"negatives": 64, "sampler.shared": True, "chunk": 64, "training.seed": seed}
    settings["memory_budget"] = memory_budget
    parts = {"sampler": "uniform", "loss": "softmax", "optimiser": "row_adagrad", "regulariser": "none"}
    return configure("distmult", parts=parts, settings=list(settings.items()))


def measure(way: str, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Triples a second, peak MiB and perhaps the MRR of one run."""
    import torch

    from pictokg.assembly import build_model, build_partitioned, build_trainer
    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data, config = data_of(arguments), config_of(arguments, seed)
    bytes_ = data.graph.num_entities * (arguments.dim + 1) * 4
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_of("VmRSS")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        if way == "in memory":
            trainer = build_trainer(config, build_model(config, data), data)
        else:
            budget = max(1, int(bytes_ / arguments.times) >> 20)
            config = config_of(arguments, seed, budget)
            trainer = build_partitioned(config, data, Path(folder) / "table.npy")
        rates = [report.triples_per_second for report in trainer.epochs()]
        found = {"triples_per_second": statistics.median(rates), "mib": memory_of("VmHWM") - before}
        found |= {"table_mib": bytes_ / 2**20}
        if way != "in memory":
            found |= {"budget_mib": budget, "partitions": len(trainer.swap.partitions)}
        if arguments.data:
            found["mrr"] = mrr_of(trainer, way, config, data)
    return found


def mrr_of(trainer: Any, way: str, config: Any, data: Any) -> float:
    from pictokg.assembly import build_model
    from pictokg.evaluation.ranking import evaluate

    model = trainer.model
    if way != "in memory":
        model = build_model(config, data)
        trainer.publish(model)
    return evaluate(model, data).metrics["mrr"]


def memory_of(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data folder, whose test split is ranked; by default a generated graph")
    parser.add_argument("--entities", type=int, default=400_000, help="of the generated graph, with ten triples each")
    parser.add_argument("--times", type=float, default=4.0, help="how many times the budget the table takes")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way, with seeds 0, 1, …")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", help="folder for the table; by default the system's, which may be memory")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    found: dict[str, list[dict[str, float]]] = {"in memory": [], "partitioned": []}
    for seed in range(arguments.repeats):
        for way, runs in found.items():
            with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
                runs.append(pool.apply(measure, (way, seed, arguments)))
    medians = {
        way: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for way, runs in found.items()
    }
    if arguments.json:
        json.dump({"runs": found, "medians": medians}, sys.stdout, indent=2)
        return
    for way, row in medians.items():
        print(
            f"  {way:<12} "
            + "  ".join(f"{key} {value:,.3f}" if key == "mrr" else f"{key} {value:,.0f}" for key, value in row.items())
        )
    inside, outside = medians["in memory"], medians["partitioned"]
    print(f"rate, partitioned / in memory: {outside['triples_per_second'] / inside['triples_per_second']:.2f}")
    print(f"memory, partitioned / in memory: {outside['mib'] / inside['mib']:.2f}")
    if arguments.data:
        of = {way: [round(run["mrr"], 4) for run in runs] for way, runs in found.items()}
        print(f"MRR, partitioned − in memory: {outside['mrr'] - inside['mrr']:+.4f}; by seed: {of}")


if __name__ == "__main__":
    main()

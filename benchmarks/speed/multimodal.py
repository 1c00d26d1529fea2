"""What pictures cost a training step: IKRL and gated beside structure alone, and attention beside a loop.

Run with: python -m benchmarks.speed.multimodal [--entities 100000] [--pictures 10] [--width 768] [--json]

Two graphs: the embedded one (glyphs), and a generated one whose entities have ten pictures of 768 numbers each (float16
on disk, memory-mapped). Three measurements, by turns, medians:
    attention   forward and backward of IKRL's attention over the pictures of a batch of entities, beside the same
                formula entity by entity;
    step        a whole training step of IKRL (structure and images together: four scores a candidate) or gated, beside
                the same step of structure alone on the same autograd path (TransE, ComplEx) plus the bare products that
                project as many rows (forward, and backward for the weights); and plus those of the gates where they are
                matrices (forward, and backward for weights and rows).

IKRL projects a query and a weighted sum an entity instead of every picture, so its step may be faster than the products
that it stands beside.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STEPS = 6


def generated(entities: int, pictures: int, width: int, folder: Path) -> Any:
    """A graph with so many pictures an entity, whose features lie on disk."""
    import numpy as np

    from benchmarks.speed.generated import zipf_graph
    from pictokg.features.table import FeatureTable

    generator, path = np.random.default_rng(0), folder / "values.npy"
    values = np.lib.format.open_memmap(path, "w+", np.float16, (entities * pictures, width))
    for start in range(0, len(values), 1 << 16):
        part = generator.standard_normal((min(1 << 16, len(values) - start), width), dtype=np.float32)
        values[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    values.flush()
    offsets = np.arange(0, len(values) + 1, pictures)
    table = FeatureTable("image", np.load(path, mmap_mode="r"), offsets, range(len(values)), "generated")
    return zipf_graph(entities, 10 * entities).with_table("image", table)


def trainer_of(data: Any, name: str, arguments: argparse.Namespace) -> Any:
    """A trainer on own negatives, by autograd and the fast scores that any model has."""
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure

    settings = {"dim": arguments.dim, "batch_size": arguments.batch, "negatives": arguments.negatives}
    settings |= {"learning_rate": 0.001, "sparse": False, "relation_questions": False}
    parts = {"sampler": "uniform", "loss": "margin", "regulariser": "none", "optimiser": "adam"}
    if name.startswith("gated"):
        settings["modalities"] = ["structure", "image"]
        settings["gates"] = "diagonal" if name == "gated, diagonal" else "matrix"
        parts["scoring"] = "complex"
    if name.startswith(("gated", "complex")):
        settings["inverse"] = True
        parts["loss"] = "self_adversarial"
    if name == "ikrl":
        settings["model.constrain"] = True
    config = configure(name.partition(",")[0], parts=parts, settings=list(settings.items()))
    return build_trainer(config, build_model(config, data), data)


def batches_of(trainer: Any) -> list[Any]:
    import torch

    order = torch.randperm(len(trainer.triples), generator=torch.Generator().manual_seed(1))
    return [trainer.triples[rows] for rows in order.split(trainer.options.batch_size)[:STEPS]]


def step_seconds(trainer: Any, batches: list[Any]) -> float:
    """Seconds of a step, the mean over the batches."""
    start = time.perf_counter()
    for triples in batches:
        trainer._step(triples)
    return (time.perf_counter() - start) / len(batches)


def projected_rows(trainer: Any, batches: list[Any], name: str) -> tuple[int, int, int]:
    """Rows that a step projects, and the shape of the projection: the mean over the batches."""
    from pictokg.training.step import training_loss

    rows, encoder = [], trainer.model.encoder
    for triples in batches:
        training_loss(trainer.model, trainer.objective, triples, trainer.context, trainer.memo)
        found, _ = encoder.rows(trainer.memo.touched)
        rows.append(sum(len(values) for values in found.values()))
        trainer.memo.clear()
    layer = max(
        (p for p in encoder.parameters() if p is not encoder.structure.weight and p.dim() == 2), key=lambda p: p.numel()
    )
    return sum(rows) // len(rows), layer.shape[1], layer.shape[0]


def product_seconds(rows: int, inside: int, outside: int) -> float:
    """Seconds of X Wᵀ and of the gradient Gᵀ X."""
    import torch

    features, weight = torch.randn(rows, inside), torch.randn(outside, inside)
    start = time.perf_counter()
    projected = features @ weight.T
    projected.T @ features
    return time.perf_counter() - start


def gate_seconds(rows: int, gates: int, width: int) -> float:
    """Seconds of Z Uᵀ, and of the gradients Gᵀ Z and G U, for each gate."""
    import torch

    vectors, weight = torch.randn(rows, width), torch.randn(width, width)
    start = time.perf_counter()
    for _ in range(gates):
        pulled = vectors @ weight.T
        pulled.T @ vectors
        pulled @ weight
    return time.perf_counter() - start


def attention_seconds(trainer: Any, ids: Any, *, loop: bool) -> float:
    """Seconds of attending to the pictures of these entities, forwards and backwards."""
    import torch

    encoder = trainer.model.encoder
    start = time.perf_counter()
    if loop:
        rows, presence = encoder.rows(ids)
        structure = encoder.structure(ids)
        found, first = [], 0
        for number, count in enumerate(presence["image"].tolist()):
            p = encoder.project(rows["image"][first : first + count].float())
            e = structure[number]
            image = (p @ e).softmax(dim=0) @ p if count else e
            found.append(torch.stack([e, image]))
            first += count
        views = torch.stack(found)
    else:
        views = encoder.encode_static(ids)
    views.square().sum().backward()
    encoder.zero_grad()
    return time.perf_counter() - start


def compare(data: Any, label: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one graph."""
    import torch

    result = []
    for name, alone in (("ikrl", "transe"), ("gated", "complex"), ("gated, diagonal", "complex")):
        trainers = {kind: trainer_of(data, kind, arguments) for kind in (name, alone)}
        batches = batches_of(trainers[name])
        for trainer in trainers.values():
            step_seconds(trainer, batches)  # compiles, and lets the heap grow to what batches of all sizes need
        shape = projected_rows(trainers[name], batches, name)
        seconds: dict[str, list[float]] = {w: [] for w in ("step", "alone", "products", "gates", "attention", "loop")}
        gates = len(trainers[name].model.encoder.gate) if name == "gated" else 0
        ids = torch.cat([batches[0][:, 0], batches[0][:, 2]]).unique()
        for _ in range(arguments.repeats):
            seconds["step"].append(step_seconds(trainers[name], batches))
            seconds["alone"].append(step_seconds(trainers[alone], batches))
            seconds["products"].append(product_seconds(*shape))
            seconds["gates"].append(gate_seconds(shape[0], gates, shape[2]))
            if name == "ikrl":
                for way in ("attention", "loop"):
                    seconds[way].append(attention_seconds(trainers[name], ids, loop=way == "loop"))
        medians = {f"{way}_ms": statistics.median(values) * 1e3 for way, values in seconds.items() if values}
        row = {"graph": label, "model": name, "beside": alone, "rows_projected": shape[0], **medians}
        row["step_over_parts"] = medians["step_ms"] / (medians["alone_ms"] + medians["products_ms"])
        parts = medians["alone_ms"] + medians["products_ms"] + medians["gates_ms"]
        row["step_over_parts_and_gates"] = medians["step_ms"] / parts
        if name == "ikrl":
            row["attention_times_loop"] = medians["loop_ms"] / medians["attention_ms"]
        result.append(row)
        if not arguments.json:
            show(row)
    return result


def show(row: dict[str, Any]) -> None:
    line = f"  {row['graph']:<10} {row['model']:<15} step {row['step_ms']:>7.1f} ms"
    line += f", {row['beside']} alone {row['alone_ms']:>6.1f}"
    line += f", products of {row['rows_projected']:,} rows {row['products_ms']:>6.1f}"
    if row["model"] == "gated":
        line += f", of its gates {row['gates_ms']:>6.1f}"
    if "loop_ms" in row:
        line += f"; attention {row['attention_ms']:.1f}, in a loop {row['loop_ms']:.1f}"
    line += f" | step / (alone + products) {row['step_over_parts']:.2f}"
    if row["model"] == "gated":
        line += f", with the gates' products {row['step_over_parts_and_gates']:.2f}"
    print(line + (f", loop / attention {row['attention_times_loop']:.1f}" if "loop_ms" in row else ""), flush=True)


def main() -> None:
    arguments = parse()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    import pictokg
    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    rows = compare(pictokg.load("glyphs"), "glyphs", arguments) if "glyphs" in arguments.graphs else []
    if "generated" in arguments.graphs:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            data = generated(arguments.entities, arguments.pictures, arguments.width, Path(folder))
            rows += compare(data, "generated", arguments)
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    graphs = ("glyphs", "generated")
    parser.add_argument("--graphs", nargs="*", default=list(graphs), choices=graphs)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--negatives", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", help="folder for the generated features; by default the system's")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Time a triple and memory, from ten thousand to three million entities: shared negatives, d 128, Zipf degrees.

Run with: python -m benchmarks.speed.scaling [--entities 10000 100000 1000000 3000000] [--seconds 10] [--json]

Each size is a process of its own: it generates ten triples an entity, and trains DistMult (softmax, 64 negatives shared
by chunks of 64 questions, row-wise Adagrad) for some seconds of random steps. Memory is the peak over what the process
held before it made the graph, beside the arithmetic of what must be there:
    tables      entities × d × 4                                  optimiser   entities × 4 (one number a row)
    triples     12 bytes each in the graph, 24 each in the trainer, 8 each for the order of an epoch
    look-up     16 bytes an entity: places of rows in a step       names       of entities, as Python strings
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

MIB = 2**20


def measure(entities: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Microseconds a triple, and MiB, of one size."""
    import torch

    from benchmarks.speed.generated import zipf_graph
    from benchmarks.speed.training import Way, trainer_of
    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    warm_up(arguments)
    before = memory_of("VmRSS")
    data = zipf_graph(entities, 10 * entities)
    settings = {"negatives": 64, "sampler.shared": True, "chunk": 64}
    trainer = trainer_of(data, Way("distmult", "softmax", "row_adagrad", settings), arguments)
    order = torch.randperm(len(trainer.triples), generator=torch.Generator().manual_seed(0))
    batches = iter(order.split(arguments.batch))
    Path("/proc/self/clear_refs").write_text("5")  # generating the graph took memory too
    for _ in range(3):
        trainer._step(trainer.triples[next(batches)])
    start, done = time.perf_counter(), 0
    for rows in batches:
        trainer._step(trainer.triples[rows])
        done += len(rows)
        if time.perf_counter() - start > arguments.seconds:
            break
    seconds = time.perf_counter() - start
    needed = arithmetic(data, arguments.dim)
    peak = memory_of("VmHWM") - before
    return {
        "entities": entities,
        "microseconds_a_triple": seconds / done * 1e6,
        "triples_per_second": done / seconds,
        "peak_mib": peak,
        **{f"{name}_mib": bytes_ / MIB for name, bytes_ in needed.items()},
        "rest_mib": peak - sum(needed.values()) / MIB,
    }


def warm_up(arguments: argparse.Namespace) -> None:
    """Load and compile everything, so that it counts for no size."""
    from benchmarks.speed.generated import zipf_graph
    from benchmarks.speed.training import Way, trainer_of

    settings = {"negatives": 64, "sampler.shared": True, "chunk": 64}
    next(trainer_of(zipf_graph(500, 5000), Way("distmult", "softmax", "row_adagrad", settings), arguments).epochs())


def arithmetic(data: Any, dim: int) -> dict[str, int]:
    """Bytes that must be there."""
    graph = data.graph
    entities, triples = graph.num_entities, len(graph.split("train"))
    return {
        "tables": entities * dim * 4,
        "optimiser": entities * 4,
        "triples": triples * (12 + 24 + 8),
        "lookup": entities * 16,
        "names": sum(map(sys.getsizeof, graph.entities.names)) + 8 * entities,
    }


def memory_of(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, nargs="*", default=[10_000, 100_000, 1_000_000, 3_000_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    rows = []
    for entities in arguments.entities:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            rows.append(pool.apply(measure, (entities, arguments)))
        if not arguments.json:
            show(rows[-1])
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)
    elif len(rows) > 1:
        last, first = rows[-1], next((row for row in rows if row["entities"] >= 100_000), rows[0])
        grows = last["microseconds_a_triple"] / first["microseconds_a_triple"]
        print(f"time a triple, {last['entities']:,} / {first['entities']:,} entities: {grows:.2f}")
        print(f"largest rest: {max(row['rest_mib'] for row in rows):,.0f} MiB")


def show(row: dict[str, Any]) -> None:
    names = ("tables", "optimiser", "triples", "lookup", "names")
    parts = ", ".join(f"{name} {row[f'{name}_mib']:,.0f}" for name in names)
    print(
        f"  {row['entities']:>9,} entities: {row['microseconds_a_triple']:>6.2f} µs a triple"
        f" ({row['triples_per_second']:>9,.0f} triples/s), peak {row['peak_mib']:>6,.0f} MiB"
        f" = {parts}, rest {row['rest_mib']:,.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""How fast a test split is ranked, filtered and from both sides: beside PyKEEN, the plain path, and the machine.

Run with: python -m benchmarks.speed.ranking --peers FOLDER [--data FB15k-237] [--quick] [--json]

Models have random vectors: what they learned does not change the work. PyKEEN ranks fewer triples (`--peer-triples`, as
it is slow) at the fastest of a sweep over its batch and slice sizes; PictoKG the whole split. All take turns; medians.
`products` is what one matrix product of questions × entities × dimension does here: for dot and L2, `of products`
counts 2 Q N d operations a question actually scored; for L1, `Gelement/s` counts Q N d differences. MiB are the peak of
a process of its own over what it held before ranking, at the budget of `--memory`. Peers come from
benchmarks/peers/install.sh.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Peer
from benchmarks.speed.training import graph_of

CASES = {  # name: (model, norm)
    "TransE-L1": ("transe", 1),
    "TransE-L2": ("transe", 2),
    "RotatE": ("rotate", 1),
    "DistMult": ("distmult", 1),
    "ComplEx": ("complex", 1),
}
PEER_SWEEP = [{"batch": 32}, {"batch": 128}, {"batch": 32, "slice": 4096}]


def model_of(data: Any, name: str, dim: int) -> Any:
    from pictokg.assembly import build

    model, norm = CASES[name]
    return build(model, data, dim=dim, **({"norm": norm} if model == "transe" else {})).eval()


def rank_once(model: Any, data: Any, known: Any, memory: int, *, kernels: bool = True) -> float:
    """Seconds to rank the test split; without kernels by the plain path."""
    from unittest.mock import patch

    from pictokg.evaluation.options import RankingOptions
    from pictokg.evaluation.ranking import rank

    start = time.perf_counter()
    if kernels:
        rank(model, data, "test", RankingOptions(memory=memory), known=known)
    else:
        with patch("pictokg.evaluation.ranking.is_fast", lambda model: False):
            rank(model, data, "test", RankingOptions(memory=memory), known=known)
    return time.perf_counter() - start


def part_of(data: Any, count: int) -> Any:
    """The same data with at most so many test triples."""
    from dataclasses import replace

    from pictokg.graph.graph import KnowledgeGraph

    graph = data.graph
    splits = {**graph.splits, "test": graph.split("test")[:count]}
    return replace(data, graph=KnowledgeGraph(graph.entities, graph.relations, splits))


def distinct_questions(data: Any) -> int:
    """Questions of both sides that are scored: equal ones once."""
    import numpy as np

    test = data.graph.split("test")
    return sum(len(np.unique(test[:, slots], axis=0)) for slots in ((0, 1), (1, 2)))


def products(questions: int, entities: int, width: int) -> float:
    """Operations a second of a matrix product, at the best block size."""
    import torch

    expected, candidates, best = torch.randn(questions, width), torch.randn(entities, width), 0.0
    for block in (64, 128, 256, 512):
        start = time.perf_counter()
        for part in expected.split(block):
            part @ candidates.T
        best = max(best, 2 * questions * entities * width / (time.perf_counter() - start))
    return best


def peak_of(folder: str | None, name: str, dim: int, memory: int, threads: int) -> float:
    """MiB that ranking takes over what the process held before, in a process of its own."""
    import torch

    torch.set_num_threads(threads)
    data = split_of(graph_of(folder))
    model, known = model_of(data, name, dim), data.known()
    rank_once(model, part_of(data, 64), known, memory)  # compiles, and packs the known answers
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_of("VmRSS")
    rank_once(model, data, known, memory)
    return memory_of("VmHWM") - before


def memory_of(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def split_of(data: Any) -> Any:
    """The data as they are, or a generated graph with a test split."""
    if "test" in data.graph.splits:
        return data
    from benchmarks.speed.generated import zipf_graph

    return zipf_graph(14_541, 310_116, relations=237, held_out=20_466)


def measure(
    name: str, data: Any, peer: Peer | None, files: dict[str, str], arguments: argparse.Namespace
) -> dict[str, Any]:
    """One model: medians of ours, of the plain path and of the peer, by turns."""
    graph, (kind, norm) = data.graph, CASES[name]
    model, known = model_of(data, name, arguments.dim), data.known()
    request = {"model": kind, "norm": norm, "dim": arguments.dim, "threads": arguments.threads, **files}
    request |= {"entities": graph.num_entities, "relations": graph.num_relations}
    best, mib = sweep(peer, request) if peer else ({}, 0.0)
    few = part_of(data, arguments.plain_triples)
    rank_once(model, few, known, arguments.memory)
    seconds: dict[str, list[float]] = {"ours": [], "plain": [], "peer": [], "products": []}
    width = model.encoder.structure.weight.shape[1]
    for _ in range(arguments.repeats):
        seconds["ours"].append(len(graph.split("test")) / rank_once(model, data, known, arguments.memory))
        plain = rank_once(model, few, known, arguments.memory, kernels=False)
        seconds["plain"].append(len(few.graph.split("test")) / plain)
        seconds["products"].append(products(2048, graph.num_entities, width))
        if peer:
            seconds["peer"].append(peer.ask({**request, **best}).get("triples_per_second", float("nan")))
    rates = {way: statistics.median(values) for way, values in seconds.items() if values}
    work = distinct_questions(data) * graph.num_entities * width / len(graph.split("test"))
    row = {"model": name, "triples_per_second": rates["ours"], "plain": rates["plain"]}
    row |= {"gelements": rates["ours"] * work / 1e9, "products_gflops": rates["products"] / 1e9}
    row |= {"of_products": 2 * rates["ours"] * work / rates["products"]}
    if peer:
        row |= {"peer": rates["peer"], "peer_settings": best, "peer_mib": mib}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        given = (arguments.data, name, arguments.dim, arguments.memory, arguments.threads)
        row["peak_mib"] = pool.apply(peak_of, given)
    return row


def sweep(peer: Peer, request: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The settings at which the peer is fastest, and its size there."""
    answers = [peer.ask({**request, **settings}) for settings in PEER_SWEEP]
    rates = [answer.get("triples_per_second", 0.0) for answer in answers]
    best = rates.index(max(rates))
    return PEER_SWEEP[best], answers[best].get("mib", 0.0)


def show(row: dict[str, Any]) -> None:
    line = f"  {row['model']:<10} {row['triples_per_second']:>9,.0f} triples/s  plain {row['plain']:>7,.0f}"
    line += f"  {row['gelements']:>6.1f} Gelement/s  products {row['products_gflops']:>4.0f} GFLOP/s"
    line += f"  peak {row['peak_mib']:>5.0f} MiB"
    if "peer" in row:
        line += f"  PyKEEN {row['peer']:>5.0f} at {row['peer_settings']} ({row['peer_mib']:,.0f} MiB)"
    line += f"  | ours / plain {row['triples_per_second'] / row['plain']:.1f}  of products {row['of_products']:.2f}"
    print(
        line + (f"  ours / PyKEEN {row['triples_per_second'] / row['peer']:.0f}" if "peer" in row else ""), flush=True
    )


def main() -> None:
    arguments = parse()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: its idle threads must not spin beside ours
    import numpy as np
    import torch

    torch.set_num_threads(arguments.threads)
    data = split_of(graph_of(arguments.data))
    if arguments.test_triples:
        data = part_of(data, arguments.test_triples)
    peer = Peer(arguments.peers, "pykeen", "pykeen_ranking.py", arguments.threads) if arguments.peers else None
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {split: str(Path(folder) / f"{split}.npy") for split in ("train", "test")}
        np.save(files["train"], data.graph.split("train"))
        np.save(files["test"], data.graph.split("test")[: arguments.peer_triples])
        for name in arguments.models:
            rows.append(measure(name, data, peer, files, arguments))
            if not arguments.json:
                show(rows[-1])
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data folder; by default a generated graph of FB15k-237's size")
    parser.add_argument("--peers", type=Path, help="folder of benchmarks/peers/install.sh; without it only ours runs")
    parser.add_argument("--models", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--memory", type=int, default=256, help="MiB that ranking may use")
    parser.add_argument("--peer-triples", type=int, default=64)
    parser.add_argument("--plain-triples", type=int, default=512)
    parser.add_argument("--test-triples", type=int, default=0, help="of ours; 0: the whole split")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a few triples, once: to see that everything runs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.peer_triples, arguments.plain_triples, arguments.test_triples, arguments.repeats = 32, 128, 2000, 1
    return arguments


if __name__ == "__main__":
    main()

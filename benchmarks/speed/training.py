"""How fast a model trains on sampled negatives: beside PyKEEN, PyTorch-BigGraph, and our own plain formulas.

Run with: python -m benchmarks.speed.training --peers FOLDER [--data FB15k-237] [--own] [--shared] [--quick] [--json]

`own`: every triple has 64 negatives of its own (32 a side), as PyKEEN draws them. `shared`: both sides of every
triple share 64 negatives in chunks of 64, softmax loss, as PyTorch-BigGraph does. The same triples, dimension,
negatives, loss, threads and Adagrad everywhere; PyKEEN has no row-wise Adagrad and is compared with its element-wise
one. Each peer runs at the fastest of a sweep over its own settings (batch, sub-batch), found first, once a model;
PictoKG at one batch size, that of `--batch`. Then all take turns, and the median of the repeats counts. PyKEEN and our
plain formulas are slow, and go over a part of the triples (`--slow-triples`). `--mrr EPOCHS` trains every
fast way of ours for so many epochs of the whole graph and ranks the test split, so that no speed is bought with
quality unseen; alone it times nothing.
Peers are installed by benchmarks/peers/install.sh.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Peer

MODELS = {"transe": "TransE-L1", "rotate": "RotatE", "distmult": "DistMult", "complex": "ComplEx"}
MARGINS = {"transe": 9.0, "rotate": 9.0, "distmult": 0.0, "complex": 0.0}
LOSSES = ("self_adversarial", "logistic")
PYKEEN_SWEEP = [{"batch": 256}, {"batch": 1024}, {"batch": 1024, "sub_batch": 256}]
# name: (model, its options, operator and comparator of PyTorch-BigGraph, which has no L1)
SHARED = {
    "DistMult": ("distmult", {}, "diagonal", "dot"),
    "ComplEx": ("complex", {}, "complex_diagonal", "dot"),
    "TransE-L2": ("transe", {"norm": 2}, "translation", "l2"),
    "TransE-L1": ("transe", {"norm": 1}, "translation", "l2"),
}
BIGGRAPH_SWEEP = [
    {"batch": 1000, "workers": 2},
    {"batch": 4000, "workers": 2},
    {"batch": 1000, "workers": 1},
    {"batch": 4000, "workers": 1},
]
FAST = {"deterministic": {}, "lock-free": {"lock_free": True}}


@dataclass(frozen=True)
class Way:
    """One way to train with PictoKG."""

    model: str
    loss: str
    optimiser: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Row:
    """What one comparison found: triples a second, and the peer's settings that were best."""

    model: str
    loss: str
    optimiser: str
    ours: dict[str, float]
    peer: float | None
    peer_settings: dict[str, Any] | None

    def ratios(self) -> dict[str, float]:
        twin = self.ours.get("plain")
        found = {}
        for name, rate in self.ours.items():
            if name != "plain":
                found[f"{name} / peer"] = rate / self.peer if self.peer else float("nan")
                found[f"{name} / plain"] = rate / twin if twin else float("nan")
        return found


def graph_of(folder: str | None) -> Any:
    """A data folder, or a generated graph of FB15k-237's size with degrees as uneven as real ones."""
    from benchmarks.speed.generated import zipf_graph

    if folder:
        import pictokg

        return pictokg.load(folder, modalities=[])
    return zipf_graph(14_541, 272_115, relations=237)


def some_triples(data: Any, count: int) -> Any:
    """The same graph with only `count` training triples, drawn once."""
    import numpy as np

    from pictokg.graph.graph import KnowledgeGraph

    graph = data.graph
    train = graph.split("train")
    chosen = np.random.default_rng(0).permutation(len(train))[:count]
    return replace(data, graph=KnowledgeGraph(graph.entities, graph.relations, {"train": train[np.sort(chosen)]}))


def trainer_of(data: Any, way: Way, arguments: argparse.Namespace, epochs: int = 10_000) -> Any:
    """A trainer; the margin is the same number for all losses that have one."""
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure

    settings = {
        "dim": arguments.dim,
        "epochs": epochs,
        "batch_size": arguments.batch,
        "learning_rate": 0.1,
        "validate_every": 0,
        **way.settings,
    }
    if way.loss == "self_adversarial":
        settings["loss.margin"] = MARGINS[way.model]
    parts = {"sampler": "uniform", "loss": way.loss, "optimiser": way.optimiser, "regulariser": "none"}
    config = configure(way.model, parts=parts, settings=list(settings.items()))
    return build_trainer(config, build_model(config, data), data)


def rate_of(trainer: Any, least_seconds: float) -> float:
    """Triples a second over as many epochs as take so long."""
    seconds = triples = 0.0
    for report in trainer.epochs():
        seconds, triples = seconds + report.seconds, triples + len(trainer.triples)
        if seconds >= least_seconds:
            break
    return triples / seconds


def take_turns(
    trainers: dict[str, Any], peer: Any, repeats: int, least_seconds: float
) -> tuple[dict[str, float], float]:
    """Medians of our ways and of the peer, all of which run in every repeat."""
    ours: dict[str, list[float]] = {name: [] for name in trainers}
    theirs: list[float] = []
    for trainer in trainers.values():  # compiles, makes the state of optimisers
        rate_of(trainer, 0.0)
    for _ in range(repeats):
        if peer:
            theirs.append(peer())
        for name, trainer in trainers.items():
            ours[name].append(rate_of(trainer, least_seconds))
    return {name: statistics.median(rates) for name, rates in ours.items()}, statistics.median(theirs or [float("nan")])


class Rival:
    """A peer with the sweep over its own settings; `warms_up`: whether its first run of a model is slower."""

    def __init__(self, peer: Peer, sweep: list[dict[str, Any]], *, warms_up: bool) -> None:
        self.peer, self._sweep, self._warms_up = peer, sweep, warms_up
        self._found: dict[str, dict[str, Any]] = {}

    def best(self, request: dict[str, Any], model: str) -> dict[str, Any]:
        """The settings at which it trains this model fastest, by one sweep."""
        if model not in self._found:
            rates = [self._rate({**request, **settings}) for settings in self._sweep]
            self._found[model] = self._sweep[rates.index(max(rates))]
        if self._warms_up:
            self.peer.ask({**request, **self._found[model]})
        return self._found[model]

    def _rate(self, request: dict[str, Any]) -> float:
        if self._warms_up:
            self.peer.ask(request)
        return self.peer.ask(request).get("triples_per_second", 0.0)


def compare(
    data: Any, ways: dict[str, Way], rival: Rival | None, request: dict[str, Any], arguments: argparse.Namespace
) -> list[Row]:
    """One comparison, a row for each optimiser: the peer's best settings first, then all in turns."""
    best = rival.best(request, request.get("model") or request["operator"] + request["comparator"]) if rival else None

    def turn() -> float:
        assert rival
        return rival.peer.ask({**request, **(best or {})}).get("triples_per_second", float("nan"))

    few = some_triples(data, arguments.slow_triples)
    trainers = {name: trainer_of(few if "plain" in name else data, way, arguments) for name, way in ways.items()}
    ours, theirs = take_turns(trainers, turn if rival else None, arguments.repeats, arguments.seconds)
    rows = {}
    for name, way in ways.items():
        row = rows.setdefault(way.optimiser, Row("", way.loss, way.optimiser, {}, theirs if rival else None, best))
        row.ours[name.split(", ")[1]] = ours[name]
    return list(rows.values())


def ways_of(
    model: str, loss: str, optimisers: list[str], settings: dict[str, Any], fast: dict[str, dict[str, Any]]
) -> dict[str, Way]:
    """Our fast ways, and the plain formulas, with every optimiser."""
    named = {**fast, "plain": {"kernels": "off"}}
    return {
        f"{optimiser}, {name}": Way(model, loss, optimiser, {**settings, **own})
        for optimiser in optimisers
        for name, own in named.items()
    }


def measure_own(data: Any, path: Path, arguments: argparse.Namespace) -> list[Row]:
    """Negatives of each triple's own, beside PyKEEN."""
    rival = None
    if arguments.peers:
        peer = Peer(arguments.peers, "pykeen", "pykeen_training.py", arguments.threads)
        rival = Rival(peer, PYKEEN_SWEEP, warms_up=True)
    rows = []
    for model in arguments.models:
        for loss in arguments.losses:
            request = request_of(data, path, arguments) | {
                "model": model,
                "loss": loss,
                "margin": MARGINS[model],
                "optimiser": "adagrad",
                "seed": 0,
            }
            ways = ways_of(model, loss, arguments.optimisers, {"negatives": arguments.negatives // 2}, FAST)
            for row in compare(data, ways, rival, request, arguments):
                rows.append(replace(row, model=MODELS[model]))
                tell(rows[-1])
    if rival:
        rival.peer.close()
    return rows


def measure_shared(data: Any, path: Path, arguments: argparse.Namespace) -> list[Row]:
    """Negatives that both sides of a chunk share, beside PyTorch-BigGraph."""
    rival = None
    if arguments.peers:
        sweep = [settings for settings in BIGGRAPH_SWEEP if settings["workers"] <= arguments.threads]
        rival = Rival(Peer(arguments.peers, "pbg", "biggraph_training.py", 1), sweep, warms_up=False)
    rows = []
    for name, (model, own, operator, comparator) in SHARED.items():
        if model not in arguments.models:
            continue
        request = request_of(data, path, arguments) | {"operator": operator, "comparator": comparator}
        request["dim"] = arguments.dim * (2 if model == "complex" else 1)
        settings = {"negatives": arguments.negatives, "sampler.shared": True, "chunk": 64, **own}
        ways = ways_of(model, "softmax", ["row_adagrad"], settings, {"deterministic": {}})
        for row in compare(data, ways, rival, request, arguments):
            rows.append(replace(row, model=f"{name} (peer: {comparator})"))
            tell(rows[-1])
    if rival:
        rival.peer.close()
    return rows


def request_of(data: Any, path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    graph = data.graph
    return {
        "dim": arguments.dim,
        "negatives": arguments.negatives,
        "threads": arguments.threads,
        "triples": str(path),
        "entities": graph.num_entities,
        "relations": graph.num_relations,
    }


def quality(data: Any, arguments: argparse.Namespace) -> dict[str, float]:
    """Test MRR of every fast way after so many epochs of the whole graph."""
    from pictokg.evaluation.ranking import evaluate

    found = {}
    for model in arguments.models:
        own = {"negatives": arguments.negatives // 2}
        shared = {"negatives": arguments.negatives, "sampler.shared": True, "chunk": 64}
        ways = {
            "own, deterministic": Way(model, "self_adversarial", "row_adagrad", own),
            "own, lock-free": Way(model, "self_adversarial", "row_adagrad", {**own, "lock_free": True}),
            "own, deterministic, softmax": Way(model, "softmax", "row_adagrad", own),
            "shared, deterministic, softmax": Way(model, "softmax", "row_adagrad", shared),
        }
        for name, way in ways.items():
            reached = []
            for seed in range(arguments.seeds):
                seeded = replace(way, settings={**way.settings, "seed": seed})
                trainer = trainer_of(data, seeded, arguments, epochs=arguments.mrr)
                for _ in trainer.epochs():
                    pass
                reached.append(evaluate(trainer.model, data).metrics["mrr"])
            mean = found[f"{MODELS[model]}, {name}"] = statistics.mean(reached)
            each = " ".join(f"{mrr:.3f}" for mrr in reached)
            print(f"  {MODELS[model]}, {name}: MRR {mean:.3f} ({each})", file=sys.stderr, flush=True)
    return found


def tell(row: Row) -> None:
    """Say at once what was found: a run takes long, and may be cut short."""
    print(f"  {line_of(row)}", file=sys.stderr, flush=True)


def line_of(row: Row) -> str:
    rates = "".join(f" {name} {rate:>9,.0f}" for name, rate in row.ours.items())
    peer = f" peer {row.peer:>7,.0f} at {row.peer_settings}" if row.peer else ""
    return f"{row.model:<26} {row.loss:<16} {row.optimiser:<11}{rates}{peer}"


def show(title: str, rows: list[Row]) -> None:
    print(f"\n{title}; triples a second")
    for row in rows:
        print(f"  {line_of(row)}")
    for row in rows:
        ratios = "  ".join(f"{name} {value:.1f}" for name, value in row.ratios().items() if value == value)
        print(f"  {row.model:<26} {row.loss:<16} {row.optimiser:<11} {ratios}")


def main() -> None:
    arguments = parse()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: its idle threads must not spin beside ours
    import numpy as np
    import torch

    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    whole = graph_of(arguments.data)
    both = not (arguments.own or arguments.shared or arguments.mrr)
    result: dict[str, Any] = {"threads": arguments.threads, "dim": arguments.dim, "negatives": arguments.negatives}
    with tempfile.TemporaryDirectory() as name:
        for kind, wanted, measure, count in (
            ("own", arguments.own or both, measure_own, arguments.triples),
            ("shared", arguments.shared or both, measure_shared, 5 * arguments.triples),
        ):
            if wanted:
                data = some_triples(whole, count)
                path = Path(name) / f"{kind}.npy"
                few = some_triples(data, arguments.slow_triples) if kind == "own" else data
                np.save(path, few.graph.split("train"))
                result[kind] = measure(data, path, arguments)
    if arguments.mrr:
        result["mrr"] = quality(whole, arguments)
    if arguments.json:
        json.dump(result, sys.stdout, indent=2, default=lambda row: asdict(row) | {"ratios": row.ratios()})
        return
    for kind in ("own", "shared"):
        if kind in result:
            show(f"{kind} negatives, d {arguments.dim}, {arguments.negatives} a triple", result[kind])
    for name, value in result.get("mrr", {}).items():
        print(f"  MRR after {arguments.mrr} epochs: {name:<50} {value:.3f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data folder; by default a generated graph of FB15k-237's size")
    parser.add_argument("--peers", type=Path, help="folder of benchmarks/peers/install.sh; without it only ours runs")
    parser.add_argument("--own", action="store_true", help="only negatives of each triple's own")
    parser.add_argument("--shared", action="store_true", help="only shared negatives")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--losses", nargs="*", default=list(LOSSES), choices=LOSSES)
    parser.add_argument("--optimisers", nargs="*", default=["row_adagrad", "adagrad"], help="of ours, own negatives")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--negatives", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1024, help="triples a step of ours")
    parser.add_argument("--triples", type=int, default=16_384, help="an epoch; five times as many where shared")
    parser.add_argument("--slow-triples", type=int, default=4096, help="of them, for PyKEEN and the plain formulas")
    parser.add_argument("--seconds", type=float, default=1.0, help="that each of our turns lasts at least")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mrr", type=int, default=0, help="epochs of the whole graph before its test split is ranked")
    parser.add_argument("--seeds", type=int, default=1, help="of --mrr")
    parser.add_argument("--quick", action="store_true", help="a few triples, once: to see that everything runs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.triples, arguments.repeats, arguments.seconds = 2048, 1, 0.2
    return arguments


if __name__ == "__main__":
    main()

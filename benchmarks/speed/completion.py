"""Completion of a large graph by search: time, memory, and what the index misses of what a scan finds.

Run with: python -m benchmarks.speed.completion [--entities 1000000] [--questions 10000] [--search index] [--json]

A graph is generated with a law: entities lie in clusters, a relation leads from each cluster to one, and the vectors of
a DistMult or TransE model are the clusters' centres with noise; nothing is trained. The library then chooses its own
questions (those that most probably lack an answer), finds the best new answers within the observed ranges, gives them
probabilities and writes Parquet. Afterwards some of the questions are answered by a scan, to say what the index missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def generated(entities: int, relations: int, dim: int, scoring: str, seed: int = 0) -> tuple[Any, Any]:
    """A graph with five facts an entity, and a model that knows its law."""
    import numpy as np
    import torch

    import pictokg
    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.vocabulary import Vocabulary

    generator = np.random.default_rng(seed)
    clusters = max(4, int(entities**0.5) // 2)
    centres = generator.standard_normal((clusters, dim)).astype(np.float32)
    ways = generator.standard_normal((relations, dim)).astype(np.float32)
    member = generator.integers(clusters, size=entities)
    vectors = centres[member] + 0.5 * generator.standard_normal((entities, dim)).astype(np.float32)
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(clusters + 1))
    head, relation = generator.integers(entities, size=5 * entities), generator.integers(relations, size=5 * entities)
    leads_to = np.stack([_nearest_centre(centres, way, scoring) for way in ways], axis=1)
    there = leads_to[member[head], relation]
    sizes = np.maximum(starts[there + 1] - starts[there], 1)
    tail = order[np.minimum(starts[there] + (generator.random(len(head)) * sizes).astype(np.int64), entities - 1)]
    triples = np.stack([head, relation, tail], axis=1).astype(np.int32)
    names = [Vocabulary([f"{kind}{n}" for n in range(count)]) for kind, count in (("e", entities), ("r", relations))]
    held_out = min(20_000, entities)
    graph = KnowledgeGraph(*names, {"train": triples[held_out:], "valid": triples[:held_out]})
    data = Dataset("generated", graph)
    model = pictokg.build(scoring, data, dim=dim, inverse=False, **({"norm": 2} if scoring == "transe" else {}))
    with torch.no_grad():
        model.encoder.structure.weight.copy_(torch.from_numpy(vectors))
        model.relations.weight.copy_(torch.from_numpy(ways))
    return data, model


def _nearest_centre(centres: Any, way: Any, scoring: str) -> Any:
    import numpy as np

    if scoring == "distmult":
        return np.argmax((centres * way) @ centres.T, axis=1)
    return np.argmax((centres + way) @ centres.T - (centres**2).sum(axis=1) / 2, axis=1)


def timed(seconds: dict[str, float], mebibytes: dict[str, int], name: str, work: Callable[[], Any]) -> Any:
    """Do some work; its seconds, and the most memory that the process has held by its end."""
    start = time.perf_counter()
    result = work()
    seconds[name], mebibytes[name] = round(time.perf_counter() - start, 2), peak()
    return result


def peak() -> int:
    """Most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    from pictokg.prediction.calibration import fit_calibration
    from pictokg.prediction.completion import Completer
    from pictokg.prediction.fact_files import write_facts
    from pictokg.prediction.index import make_search
    from pictokg.prediction.predictor import Predictor

    torch.set_num_threads(arguments.threads)
    seconds: dict[str, float] = {}
    mebibytes: dict[str, int] = {}
    step = partial(timed, seconds, mebibytes)
    data, model = step(
        "generate", lambda: generated(arguments.entities, arguments.relations, arguments.dim, arguments.model)
    )
    predictor = step("encode", lambda: Predictor(model, data))
    predictor.calibration = step("calibrate", lambda: fit_calibration(model, data, encode=predictor.encode))
    search = step(
        "build the search",
        lambda: make_search(model, data, predictor.encode, kind=arguments.search, memory=arguments.memory),
    )
    completer = Completer(predictor, search=search, questions=arguments.questions)
    asked = step("choose the questions", lambda: completer.choose(None, None))
    with tempfile.TemporaryDirectory() as folder:
        proposed = (fact for found in completer.propose(asked) for fact in completer.facts(found))
        count = step("answer and write", lambda: write_facts(Path(folder) / "facts.parquet", proposed))
    used, whole = peak() - mebibytes["generate"], round(sum(seconds.values()) - seconds["generate"], 2)
    result = {
        "entities": arguments.entities,
        "triples": len(data.graph.triples()),
        "questions": len(asked),
        "facts": count,
        "search": search.description,
        "seconds": seconds,
        "seconds_in_all": whole,
        "mebibytes_held_at_most_so_far": mebibytes,
        "mebibytes_beside_graph_and_model": used,
        "within_budget": f"{used <= arguments.budget} ({arguments.budget} MiB)",
        "within_ten_minutes": whole <= 600,
    }
    return {**result, "found_of_a_scan": missed(completer, asked, arguments.compared)}


def missed(completer: Any, asked: Any, count: int) -> float | None:
    """The share of what a scan proposes that the search proposed too, on some of the questions."""
    import numpy as np

    from pictokg.prediction.completion import Completer
    from pictokg.prediction.questions import Questions

    rows = np.sort(np.random.default_rng(0).permutation(len(asked))[:count])
    some = Questions(asked.anchor[rows], asked.relation[rows], asked.side[rows], asked.lacking[rows])
    scan = Completer(completer.predictor)
    ours, exact = (
        {tuple(triple) for found in one.propose(some) for triple in found.triples.tolist()} for one in (completer, scan)
    )
    return round(len(ours & exact) / len(exact), 4) if exact else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--relations", type=int, default=10)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--model", choices=("distmult", "transe"), default="distmult")
    parser.add_argument("--search", choices=("auto", "index", "scan"), default="auto")
    parser.add_argument("--memory", type=int, default=512, help="MiB for scanning")
    parser.add_argument("--budget", type=int, default=1024, help="MiB that all of it may take beside graph and model")
    parser.add_argument("--compared", type=int, default=200, help="questions that are scanned too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments)
    if arguments.json:
        json.dump(result, sys.stdout)
        return
    for name, value in result.items():
        print(f"{name}: {value:,}" if type(value) is int else f"{name}: {value}")


if __name__ == "__main__":
    main()

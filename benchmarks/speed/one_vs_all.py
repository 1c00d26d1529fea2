"""1-vs-all training: how near a step comes to the machine's matrix products, and what memory it takes.

Run with: python -m benchmarks.speed.one_vs_all [--data FOLDER] [--steps 10] [--repeats 5] [--peers FOLDER] [--json]

ComplEx with reciprocal relations and N3 on a data folder (by default a generated graph of FB15k-237's size). A step
scores Q questions against all N entities; forward and backward are three matrix products, 6 Q N d operations. The
yardstick is those three products alone, in float32, at the block size that suits the machine best. Every way takes its
turn in every repeat; the median counts. Memory is the peak of a process of its own over what it held before.
With --peers FOLDER (benchmarks/peers/install.sh) PyKEEN's LCWA loop takes its turn too, at the faster of two batch
sizes, on a random sample of the triples. It asks each distinct question once; since a sample repeats fewer questions
than all triples do, its rate is that of its questions, times the triples that a question of all stands for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Peer

BLOCKS = (128, 256, 512, 1024)
PEER_BATCHES, PEER_TRIPLES = (256, 1024), 4_000
WAYS = {  # name: settings
    "plain softmax": {"kernels": "off"},
    "in blocks": {},
    "in blocks, bf16": {"precision": "bf16"},
    "plain softmax, bf16": {"kernels": "off", "precision": "bf16"},
}


def data_of(folder: str | None) -> Any:
    """A data folder, or a generated graph of FB15k-237's size."""
    import numpy as np

    from pictokg.datasets.dataset import Dataset
    from pictokg.datasets.load import load
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.vocabulary import Vocabulary

    if folder:
        return load(folder, modalities=[])
    generator = np.random.default_rng(0)
    entities, relations, count = 14_541, 237, 272_115
    highs = (entities, relations, entities)
    triples = np.stack([generator.integers(0, high, count) for high in highs], axis=1).astype(np.int32)
    names = [Vocabulary([f"{kind}{n}" for n in range(high)]) for kind, high in (("e", entities), ("r", relations))]
    return Dataset("generated", KnowledgeGraph(*names, {"train": triples}))


def trainer_of(data: Any, settings: dict[str, Any], rank: int, batch: int, sampler: str = "one_vs_all") -> Any:
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure

    chosen = {"dim": rank, "batch_size": batch, "regulariser.weight": 0.01, **settings}
    config = configure("complex", parts={"sampler": sampler}, settings=list(chosen.items()))
    return build_trainer(config, build_model(config, data), data)


def products(questions: int, entities: int, width: int) -> float:
    """Operations a second of the three matrix products in float32, at the best block size."""
    import torch

    expected, candidates = torch.randn(questions, width), torch.randn(entities, width)
    best = 0.0
    for block in BLOCKS:
        start = time.perf_counter()
        by_candidates = torch.zeros_like(candidates)
        for part in expected.split(block):
            scores = part @ candidates.T
            scores @ candidates
            by_candidates.addmm_(scores.T, part)
        best = max(best, 6 * questions * entities * width / (time.perf_counter() - start))
    return best


def step(trainer: Any, triples: Any) -> tuple[float, float]:
    """Seconds of forward and backward alone, and of the whole step."""
    import torch

    from pictokg.training.step import training_loss

    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=trainer.options.precision == "bf16"):
        loss = training_loss(trainer.model, trainer.objective, triples, trainer.context, trainer.memo)
    loss.backward()
    inside = time.perf_counter() - start
    trainer.optimisers.step(1.0)
    trainer.memo.clear()
    trainer.context.step += 1
    return inside, time.perf_counter() - start


def step_rates(trainer: Any, steps: int) -> tuple[float, float]:
    """Operations a second of forward and backward alone, and triples a second of whole steps."""
    import torch

    order = torch.randperm(len(trainer.triples), generator=torch.Generator().manual_seed(trainer.context.step))
    batches = trainer.triples[order].split(trainer.options.batch_size)[:steps]
    inside, whole = map(sum, zip(*(step(trainer, triples) for triples in batches), strict=True))
    triples = sum(map(len, batches))
    operations = 6 * 2 * triples * trainer.model.num_entities * trainer.model.scoring.entity_width
    return operations / inside, triples / whole


def peak_of(settings: dict[str, Any], folder: str | None, rank: int, batch: int) -> float:
    """MiB that two steps take beyond what the process held before them."""
    trainer = trainer_of(data_of(folder), settings, rank, batch)
    step(trainer, trainer.triples[:8])  # the optimiser makes its state at the first step
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = memory("VmRSS")
    step_rates(trainer, 2)
    return memory("VmHWM") - before


def memory(field: str) -> float:
    """MiB, as Linux tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


class Lcwa:
    """PyKEEN's LCWA loop on a sample of the triples."""

    def __init__(self, folder: Path, data: Any, rank: int, threads: int, scratch: Path) -> None:
        import numpy as np

        triples, file = data.graph.split("train"), scratch / "triples.npy"
        count = min(PEER_TRIPLES, len(triples))
        sample = np.random.default_rng(0).choice(triples, count, replace=False)
        np.save(file, sample)
        self._of_all = (questions_of(sample) / count) / (questions_of(triples) / len(triples))
        entities, relations = data.graph.num_entities, data.graph.num_relations
        self._request = {"dim": rank, "threads": threads, "triples": str(file)}
        self._request |= {"entities": entities, "relations": relations}
        self._peer = Peer(folder, "pykeen", "pykeen_one_vs_all.py", threads)
        self.batch = max(PEER_BATCHES, key=lambda batch: max(self.rate(batch) for _ in range(2)))  # the first warms up

    def rate(self, batch: int | None = None) -> float:
        """Triples a second of one epoch, as often as questions of all triples repeat."""
        answer = self._peer.ask({**self._request, "batch": batch or self.batch})
        return answer.get("triples_per_second", 0.0) * self._of_all

    def close(self) -> None:
        """Let it end."""
        self._peer.close()


def questions_of(triples: Any) -> int:
    """How many distinct questions, of both sides, triples answer."""
    import numpy as np

    return sum(len(np.unique(triples[:, columns], axis=0)) for columns in ([0, 1], [1, 2]))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    data = data_of(arguments.data)
    trainers = {name: trainer_of(data, way, arguments.rank, arguments.batch) for name, way in WAYS.items()}
    grouped = {
        f"by question{suffix}": trainer_of(
            data, {"count_answers": True, **way}, arguments.rank, arguments.batch, "k_vs_all"
        )
        for suffix, way in (("", {}), (", bf16", {"precision": "bf16"}))
    }
    with tempfile.TemporaryDirectory() as scratch:
        lcwa = None
        if arguments.peers:
            lcwa = Lcwa(arguments.peers, data, arguments.rank, torch.get_num_threads(), Path(scratch))
        return compared(arguments, data, trainers, grouped, lcwa)


def compared(
    arguments: argparse.Namespace, data: Any, trainers: dict[str, Any], grouped: dict[str, Any], lcwa: Lcwa | None
) -> dict[str, Any]:
    """All ways in turns, then the memory of each."""
    import torch

    theirs: list[float] = []
    yardstick: list[float] = []
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in (*trainers, *grouped)}
    for _ in range(arguments.repeats):
        yardstick.append(products(2 * arguments.batch, data.graph.num_entities, 2 * arguments.rank))
        for name, trainer in (trainers | grouped).items():
            rates[name].append(step_rates(trainer, arguments.steps))
        if lcwa:
            theirs.append(lcwa.rate())
    bare = statistics.median(yardstick)
    rows = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name, measured in rates.items():
            row = {"way": name, "triples_per_second": statistics.median(rate for _, rate in measured)}
            if name in WAYS:  # the operations of questions asked once depend on how many there are
                inside = statistics.median(rate for rate, _ in measured)
                row |= {"gflops": inside / 1e9, "of_products": inside / bare}
                given = (WAYS[name], arguments.data, arguments.rank, arguments.batch)
                row["peak_mib"] = pool.apply(peak_of, given)
            rows.append(row)
    if lcwa:
        rows.append({"way": f"PyKEEN LCWA at {lcwa.batch}", "triples_per_second": statistics.median(theirs)})
        lcwa.close()
    return {"threads": torch.get_num_threads(), "products_gflops": bare / 1e9, "ways": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data folder; by default a generated graph of FB15k-237's size")
    parser.add_argument("--rank", type=int, default=200)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--peers", type=Path, help="folder of benchmarks/peers/install.sh; without it only ours run")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments)
    if arguments.json:
        json.dump(result, sys.stdout, indent=2)
        return
    print(f"{result['threads']} threads; three matrix products in float32: {result['products_gflops']:.0f} GFLOP/s")
    print(f"{'way':<22} {'triples/s':>10} {'GFLOP/s':>9} {'of products':>12} {'peak MiB':>9}")
    for row in result["ways"]:
        cells = f"{row['way']:<22} {row['triples_per_second']:>10,.0f}"
        if "gflops" in row:
            cells += f" {row['gflops']:>9.0f} {row['of_products']:>11.0%} {row['peak_mib']:>9.0f}"
        print(cells)
    by = {row["way"]: row for row in result["ways"]}
    print(f"in blocks / products: {by['in blocks']['of_products']:.2f}")
    print(f"bf16 / fp32, both in blocks: {by['in blocks, bf16']['gflops'] / by['in blocks']['gflops']:.2f}")
    print(f"memory, in blocks / plain: {by['in blocks']['peak_mib'] / by['plain softmax']['peak_mib']:.2f}")
    faster = by["by question"]["triples_per_second"] / by["plain softmax"]["triples_per_second"]
    print(f"each question once / plain softmax, triples a second: {faster:.2f}")


if __name__ == "__main__":
    main()

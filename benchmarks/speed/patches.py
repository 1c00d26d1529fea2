"""What attention to patches costs beside attention to whole pictures, and beside IKRL's and none at all.

Run with: python -m benchmarks.speed.patches [--entities 2000] [--pictures 3] [--patches 16] [--threads 1]
Processor seconds of the fastest of some passes, forward and backward, of
- encoding all entities (what a training step of 1-vs-all does once), and
- a whole training step: encodings, losses and gradients of all questions of a batch, under so many relations.
Rows: `gated` (pictures averaged), IKRL's attention over whole pictures, `patches` over whole pictures, `patches` over
each picture's whole and its patches. Equal width everywhere.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

WIDTH, DIM, RELATIONS, BATCH, REPEATS = 256, 64, 24, 512, 3


def make_data(entities: int, pictures: int, patches: int):
    """A random graph whose entities have so many pictures, each of one row and so many patches."""
    from pictokg.datasets.dataset import Dataset
    from pictokg.features.table import FeatureTable, offsets_of
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.vocabulary import Vocabulary

    generator = np.random.default_rng(0)
    high = (entities, RELATIONS, entities)
    triples = np.unique(generator.integers(high, size=(4 * BATCH, 3), dtype=np.int32), axis=0)
    keys = ["", *(f"#patch {part // 4},{part % 4}" for part in range(patches))]
    count = pictures * len(keys)
    table = FeatureTable(
        "image",
        generator.standard_normal((entities * count, WIDTH), dtype=np.float32),
        offsets_of(np.full(entities, count)),
        [f"{number}.png{key}" for number in range(entities * pictures) for key in keys],
    )
    names = (Vocabulary([f"{kind}{n}" for n in range(many)]) for kind, many in (("e", entities), ("r", RELATIONS)))
    return Dataset("random", KnowledgeGraph(*names, {"train": triples}), tables={"image": table})


def fastest(function) -> float:
    """Processor seconds of the fastest pass."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measure(model: str, data, **options) -> tuple[float, float]:
    """Seconds to encode all entities, and of a training step."""
    import torch

    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure

    config = configure(model, settings=list(options.items()))
    trainer = build_trainer(config, build_model(config, data), data)
    trainer.model.train()
    everyone, triples = torch.arange(data.graph.num_entities), trainer.triples[:BATCH]

    def encode() -> None:
        trainer.model.encoder.encode_static(everyone).sum().backward()

    return fastest(encode), fastest(lambda: trainer._step(triples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--patches", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    import torch

    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    whole = make_data(arguments.entities, arguments.pictures, 0)
    parts = make_data(arguments.entities, arguments.pictures, arguments.patches)
    most = arguments.pictures * (arguments.patches + 1)
    rows = {
        "gated": measure("gated", whole, dim=DIM),
        "ikrl, whole pictures": measure("ikrl", whole, dim=2 * DIM, **{"training.relation_questions": False}),
        "patches, whole pictures": measure("patches", whole, dim=DIM, most_patches=most),
        f"patches, whole and {arguments.patches} parts": measure("patches", parts, dim=DIM, most_patches=most),
    }
    usual = rows["patches, whole pictures"]
    print("| attention | encode all, s | × | a training step, s | × |\n| --- | --- | --- | --- | --- |")
    for name, (encoded, step) in rows.items():
        print(f"| {name} | {encoded:.3f} | {encoded / usual[0]:.2f} | {step:.3f} | {step / usual[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()

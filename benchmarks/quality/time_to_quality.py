"""Seconds to an MRR: how long training takes until a model is as good as published ones.

Run with: python -m benchmarks.quality.time_to_quality NAME --data FOLDER [--set key=value …] [--json]
          python -m benchmarks.quality.time_to_quality NAME --data FOLDER --peers FOLDER

A name of `PLANS` says model, settings and the MRRs to reach. After every epoch a sample of the validation split is
ranked; where it reaches a target, the whole test split is, and the target counts once test has reached it too. Seconds
are of training alone, and of training and validation together; reading the data and the ranking of test are in neither.

With --peers PyKEEN trains at the settings of LibKGE's best model (Ruffinelli et al., ICLR 2020) on a few triples; its
seconds are extrapolated to an epoch of all triples and to as many epochs as LibKGE's own run took to its best.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OVER_ALL = {"dim": 200, "batch_size": 1000, "count_answers": True, "precision": "bf16"}
# name: (model, parts, settings, MRRs of test to reach)
PLANS: dict[str, tuple[str, dict[str, str], dict[str, Any], tuple[float, ...]]] = {
    "fb15k237-transe": (
        "transe",
        {"sampler": "uniform", "loss": "softmax", "optimiser": "row_adagrad"},
        {
            "dim": 128,
            "norm": 2,
            "batch_size": 1024,
            "learning_rate": 0.1,
            "negatives": 256,
            "sampler.shared": True,
            "chunk": 64,
        },
        (0.30, 0.313),
    ),
    "fb15k237-complex": (
        "complex",
        {"sampler": "k_vs_all"},
        {**OVER_ALL, "dim": 128, "regulariser.weight": 0.05},
        (0.30, 0.33),
    ),
    "db15k-complex": ("complex", {"sampler": "k_vs_all"}, {**OVER_ALL, "regulariser.weight": 0.02}, (0.30, 0.35)),
}
# LibKGE's best models, each triple with negatives of its own, and the epoch at which their validation MRR was highest.
PUBLISHED: dict[str, dict[str, Any]] = {
    "fb15k237-transe": {
        "model": "transe",
        "dim": 128,
        "options": {"scoring_fct_norm": 2},
        "batch": 128,
        "negatives": 61 + 192,
        "optimiser": "adam",
        "learning_rate": 0.0003,
        "epochs": 80,
    },
    "fb15k237-complex": {
        "model": "complex",
        "dim": 128,
        "options": {},
        "batch": 1024,
        "sub_batch": 128,
        "negatives": 529 + 1000,
        "optimiser": "adagrad",
        "learning_rate": 0.1826,
        "epochs": 345,
    },
}


def measure(name: str, folder: str, changes: list[str], threads: int, sample: int) -> dict[str, Any]:
    """Train until every target is reached, or the epochs are over."""
    import torch

    import pictokg
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure
    from pictokg.evaluation.ranking import evaluate
    from pictokg.memory import keep_freed_memory
    from pictokg.training.fit import validation_data

    keep_freed_memory()
    torch.set_num_threads(threads)
    model_name, parts, settings, targets = PLANS[name]
    chosen = [("epochs", 200), *settings.items(), *(tuple(change.split("=", 1)) for change in changes)]
    config, data = configure(model_name, parts=parts, settings=chosen), pictokg.load(folder, modalities=[])
    trainer = build_trainer(config, build_model(config, data), data)
    validation, known = validation_data(data, sample, 0), data.known()
    waiting, reached, training, validating = sorted(targets), [], 0.0, 0.0
    for report in trainer.epochs():
        training += report.seconds
        start = time.perf_counter()
        valid = evaluate(trainer.model, validation, "validation", known=known).metrics["mrr"]
        validating += time.perf_counter() - start
        print(f"  epoch {report.epoch}: {training:.0f} s, validation MRR {valid:.4f}", file=sys.stderr, flush=True)
        if valid >= waiting[0]:
            test = evaluate(trainer.model, data, "test", known=known).metrics["mrr"]
            while waiting and test >= waiting[0]:
                row = {"mrr": waiting.pop(0), "epoch": report.epoch, "training_seconds": training, "test_mrr": test}
                reached.append({**row, "seconds_with_validation": training + validating})
        if not waiting:
            break
    return {"plan": name, "reached": reached, "missed": waiting, "epochs": trainer.epoch, "seconds": training}


def measure_peer(name: str, folder: str, peers: str, threads: int, sample: int) -> dict[str, Any]:
    """PyKEEN's triples a second at LibKGE's settings: the fastest of two epochs over a sample, after one to warm up."""
    import numpy as np

    import pictokg
    from benchmarks.peers.peer import Peer

    graph = pictokg.load(folder, modalities=[]).graph
    train = graph.split("train")
    request = {"threads": threads, "entities": graph.num_entities, "relations": graph.num_relations, **PUBLISHED[name]}
    peer = Peer(Path(peers), "pykeen", "pykeen_published.py", threads)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "triples.npy"
        np.save(path, np.random.default_rng(0).permutation(train)[:sample])
        answers = [peer.ask(request | {"triples": str(path)}) for _ in range(3)]
    peer.close()
    rate = max(answer["triples_per_second"] for answer in answers[1:])
    epoch = len(train) / rate
    return {"plan": name, "triples_per_second": rate, "epoch": epoch, "whole": epoch * PUBLISHED[name]["epochs"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", choices=list(PLANS))
    parser.add_argument("--data", required=True, help="data folder")
    parser.add_argument("--set", nargs="*", default=[], help="settings to change, key=value")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=2000, help="validation triples to rank after every epoch")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", help="folder with the peers' environments: measure PyKEEN instead")
    parser.add_argument("--peer-triples", type=int, default=1024, help="triples of one epoch of PyKEEN")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if arguments.peers:
        at = (arguments.plan, arguments.data, arguments.peers, arguments.threads, arguments.peer_triples)
        found = measure_peer(*at)
    else:
        found = measure(arguments.plan, arguments.data, arguments.set, arguments.threads, arguments.sample)
    if arguments.json:
        json.dump(found, sys.stdout, indent=2)
        return
    if arguments.peers:
        print(
            f"{found['plan']}: PyKEEN {found['triples_per_second']:,.0f} triples/s; extrapolated, an epoch"
            f" {found['epoch']:,.0f} s, LibKGE's {PUBLISHED[arguments.plan]['epochs']} epochs {found['whole']:,.0f} s"
        )
        return
    for row in found["reached"]:
        print(
            f"{found['plan']}: MRR {row['mrr']:.3f} after {row['training_seconds']:,.0f} s of training ("
            f"{row['seconds_with_validation']:,.0f} with validation), epoch"
            f" {row['epoch']}, test {row['test_mrr']:.4f}"
        )
    for target in found["missed"]:
        print(f"{found['plan']}: MRR {target:.3f} not reached in {found['epochs']} epochs, {found['seconds']:,.0f} s")


if __name__ == "__main__":
    main()

"""PyTorch-BigGraph's side of the training benchmark, in its own environment: JSON lines in and out.

A request: {"operator", "comparator", "dim", "negatives", "batch", "workers", "triples": a .npy file, "entities",
"relations"}. The answer: {"triples_per_second"} of the second of two epochs, by its own clock, which leaves out its
start and its files. The negatives are uniform and shared by chunks of as many edges; the loss is softmax.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import h5py
import numpy as np
import torchbiggraph.checkpoint_manager as checkpoint_manager
from torchbiggraph.config import ConfigSchema
from torchbiggraph.train import train
from torchbiggraph.util import SubprocessInitializer

# With today's attrs its configuration does not turn into JSON; nothing reads that file here.
checkpoint_manager.json = SimpleNamespace(dumps=lambda value, **options: "{}", loads=json.loads)
PROCESSED = re.compile(r"Processed (\d+) edges in ([\d.]+) s")


class Clock(logging.Handler):
    """Collects what it says of its own speed."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.rates = []

    def emit(self, record):
        found = PROCESSED.search(record.getMessage())
        if found:
            self.rates.append(int(found[1]) / float(found[2]))


def write_graph(folder, request):
    triples = np.load(request["triples"])
    (folder / "edges").mkdir()
    with h5py.File(folder / "edges" / "edges_0_0.h5", "w") as handle:
        handle.attrs["format_version"] = 1
        for name, column in (("lhs", 0), ("rel", 1), ("rhs", 2)):
            handle.create_dataset(name, data=triples[:, column].astype(np.int64))
    (folder / "entity_count_all_0.txt").write_text(str(request["entities"]))
    (folder / "dynamic_rel_count.txt").write_text(str(request["relations"]))


def measure(request):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_graph(folder, request)
        config = ConfigSchema.from_dict(
            {
                "entity_path": str(folder),
                "edge_paths": [str(folder / "edges")],
                "checkpoint_path": str(folder / "model"),
                "entities": {"all": {"num_partitions": 1}},
                "relations": [{"name": "all", "lhs": "all", "rhs": "all", "operator": request["operator"]}],
                "dynamic_relations": True,
                "dimension": request["dim"],
                "global_emb": False,
                "comparator": request["comparator"],
                "loss_fn": "softmax",
                "num_epochs": 2,
                "batch_size": request["batch"],
                "num_batch_negs": 0,
                "num_uniform_negs": request["negatives"],
                "workers": request["workers"],
                "eval_fraction": 0.0,
                "hogwild_delay": 0.0,
                "lr": 0.1,
            }
        )
        clock = Clock()
        logger = logging.getLogger("torchbiggraph")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = [clock]
        train(config, subprocess_init=SubprocessInitializer())
    return {"triples_per_second": clock.rates[-1]}


def main():
    for line in sys.stdin:
        print(json.dumps(measure(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

"""PyKEEN's side of the ranking benchmark, in its own environment: requests in, measurements out, as JSON lines.

A request: {"model", "norm", "dim", "batch", "slice", "threads", "train", "test": .npy files, "entities", "relations"}.
The answer: {"triples_per_second", "mib"} of a filtered ranking of the test triples from both sides, and the process's
size.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import numpy as np
import torch
from pykeen.evaluation import RankBasedEvaluator
from pykeen.models import ComplEx, DistMult, RotatE, TransE
from pykeen.triples import CoreTriplesFactory
from pykeen_requests import answer_requests

MODELS = {"transe": TransE, "rotate": RotatE, "distmult": DistMult, "complex": ComplEx}


def build(request):
    train, test = (torch.from_numpy(np.load(request[split]).astype("int64")) for split in ("train", "test"))
    factory = CoreTriplesFactory(train, num_entities=request["entities"], num_relations=request["relations"])
    own = {"scoring_fct_norm": request["norm"]} if request["model"] == "transe" else {}
    model = MODELS[request["model"]](triples_factory=factory, embedding_dim=request["dim"], random_seed=0, **own)
    return {"model": model, "train": train, "test": test}


def measure(state, request):
    start = time.perf_counter()
    RankBasedEvaluator(filtered=True).evaluate(
        model=state["model"],
        mapped_triples=state["test"],
        additional_filter_triples=[state["train"]],
        batch_size=request["batch"],
        slice_size=request.get("slice"),
        use_tqdm=False,
    )
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    return {
        "triples_per_second": len(state["test"]) / seconds,
        "mib": int(status.split("VmHWM:")[1].split()[0]) / 1024,
    }


if __name__ == "__main__":
    answer_requests(build, measure, key=lambda request: (request["model"], request["norm"], request["test"]))

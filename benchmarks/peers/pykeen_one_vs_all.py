"""PyKEEN's side of the 1-vs-all benchmark, for PyKEEN's own environment: requests in, measurements out, as JSON lines.

A request: {"dim", "batch", "threads", "triples": a .npy file, "entities", "relations"}. The answer:
{"triples_per_second"} of one epoch of its LCWA loop: ComplEx with inverse triples and the softmax loss over all
entities, Adagrad, no regulariser. LCWA asks each distinct question once, with all its answers. Requests with the same
settings go on with the same model, so that the first one warms it up.
"""

from __future__ import annotations

import logging
import os
import warnings

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import numpy as np
import torch
from pykeen.losses import CrossEntropyLoss
from pykeen.models import ComplEx
from pykeen.training import LCWATrainingLoop
from pykeen.triples import CoreTriplesFactory
from pykeen_requests import answer_requests, measure_epoch


def build(request):
    triples = torch.from_numpy(np.load(request["triples"]).astype("int64"))
    factory = CoreTriplesFactory(
        triples,
        num_entities=request["entities"],
        num_relations=request["relations"],
        create_inverse_triples=True,
    )
    model = ComplEx(triples_factory=factory, embedding_dim=request["dim"], loss=CrossEntropyLoss(), random_seed=0)
    optimiser = torch.optim.Adagrad(model.parameters(), lr=0.1)
    loop = LCWATrainingLoop(model=model, triples_factory=factory, optimizer=optimiser)
    return {"factory": factory, "loop": loop, "epochs": 0}


if __name__ == "__main__":
    answer_requests(build, measure_epoch)

"""PyKEEN's side of the training benchmark, for PyKEEN's own environment: requests in, measurements out, as JSON lines.

A request: {"model", "optimiser", "loss", "margin", "dim", "negatives", "batch", "sub_batch", "threads", "triples": a
.npy file, "entities", "relations", "seed"}. The answer: {"triples_per_second"} of one epoch over those triples.
Requests with the same settings go on with the same model, so that the first one warms it up.
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
from pykeen.losses import NSSALoss, SoftplusLoss
from pykeen.models import ComplEx, DistMult, RotatE, TransE
from pykeen.training import SLCWATrainingLoop
from pykeen.triples import CoreTriplesFactory
from pykeen_requests import answer_requests, measure_epoch

MODELS = {"transe": TransE, "rotate": RotatE, "distmult": DistMult, "complex": ComplEx}


def build(request):
    triples = torch.from_numpy(np.load(request["triples"]).astype("int64"))
    factory = CoreTriplesFactory(triples, num_entities=request["entities"], num_relations=request["relations"])
    if request["loss"] == "self_adversarial":
        loss = NSSALoss(margin=request["margin"], adversarial_temperature=1.0)
    else:
        loss = SoftplusLoss()
    own = {"scoring_fct_norm": 1} if request["model"] == "transe" else {}
    model = MODELS[request["model"]](
        triples_factory=factory, embedding_dim=request["dim"], loss=loss, random_seed=request["seed"], **own
    )
    loop = SLCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=torch.optim.Adagrad(model.parameters(), lr=0.1),
        negative_sampler_kwargs={"num_negs_per_pos": request["negatives"]},
    )
    return {"factory": factory, "loop": loop, "epochs": 0}


if __name__ == "__main__":
    answer_requests(build, measure_epoch)

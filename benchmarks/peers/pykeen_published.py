"""PyKEEN at settings that LibKGE published, for PyKEEN's own environment: requests in, measurements out, as JSON lines.

A request: {"model", "dim", "options" of the model, "optimiser", "learning_rate", "negatives", "batch", "sub_batch",
"threads", "triples": a .npy file, "entities", "relations"}. The answer: {"triples_per_second"} of one epoch over those
triples, each with its own negatives, softmax loss. Requests with the same settings go on with the same model, so
that the first one warms it up.
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
from pykeen.losses import InfoNCELoss
from pykeen.models import ComplEx, TransE
from pykeen.training import SLCWATrainingLoop
from pykeen.triples import CoreTriplesFactory
from pykeen_requests import answer_requests, measure_epoch

MODELS = {"transe": TransE, "complex": ComplEx}
OPTIMISERS = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}


def build(request):
    triples = torch.from_numpy(np.load(request["triples"]).astype("int64"))
    factory = CoreTriplesFactory(triples, num_entities=request["entities"], num_relations=request["relations"])
    loss = InfoNCELoss(margin=0.0, log_adversarial_temperature=0.0)
    own = {"embedding_dim": request["dim"], "random_seed": 0, **request["options"]}
    model = MODELS[request["model"]](triples_factory=factory, loss=loss, **own)
    loop = SLCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=OPTIMISERS[request["optimiser"]](model.parameters(), lr=request["learning_rate"]),
        negative_sampler_kwargs={"num_negs_per_pos": request["negatives"]},
    )
    return {"factory": factory, "loop": loop, "epochs": 0}


if __name__ == "__main__":
    answer_requests(build, measure_epoch)

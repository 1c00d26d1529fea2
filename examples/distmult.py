"""Train DistMult on a file of triples and ask one question, without configuration or run folders.

python examples/distmult.py triples.tsv HEAD RELATION
"""

from __future__ import annotations

import sys
from pathlib import Path

from pictokg.datasets.dataset import Dataset
from pictokg.fusion.lookup import Lookup
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.read.tsv import read
from pictokg.losses.softmax import Softmax
from pictokg.models.base import Model
from pictokg.prediction.predictor import Predictor
from pictokg.sampling.one_vs_all import OneVsAll
from pictokg.scoring.distmult import DistMult
from pictokg.training.loop import Trainer, TrainingOptions
from pictokg.training.optimiser import OptimiserOptions
from pictokg.training.step import Objective


def main(path: str, head: str, relation: str) -> None:
    data = Dataset("mine", KnowledgeGraph.from_frames({"train": read(Path(path))}))
    model = Model(Lookup(data.graph.num_entities, 32), DistMult(32), data.graph.num_relations, inverse=True)
    objective = Objective(OneVsAll(), Softmax())
    # kernels="off": what runs is what the formulas say. The fast paths compute the same; a test holds them to it.
    trainer = Trainer(model, data, objective, OptimiserOptions(), TrainingOptions(epochs=20, kernels="off"))
    for report in trainer.epochs():
        print(f"epoch {report.epoch}: loss {report.loss:.3f}")
    best = Predictor(model, data).tails(head, relation, k=1)[0]
    print(f"{head} {relation} {best.name} (score {best.score:.2f}, {'known' if best.known else 'new'})")


if __name__ == "__main__":
    main(*sys.argv[1:])

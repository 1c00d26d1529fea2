"""Probabilities of relations with few validation triples: the common curve, and their own drawn towards it.

    python -m benchmarks.quality.calibration RUN [RUN …]

For each run, on test against unknown triples at ratio 1, over the relations without a curve of their own: the Brier
score and the log loss of their triples, the expected calibration error of all of them together, the mean over relations
and the greatest. Of a relation with a dozen triples the error is mostly chance; the scores are not.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from pictokg.evaluation.classification import scores_of
from pictokg.prediction.calibration import Calibration, fit_calibration
from pictokg.prediction.held_out import Examples, draw_examples
from pictokg.prediction.reliability import calibration_error
from pictokg.run import load_run

COLUMNS = ("run", "curve", "relations", "test triples", "Brier", "log loss", "error together", "mean", "greatest")


def figures(calibration: Calibration, scores: np.ndarray, examples: Examples) -> list[str]:
    """Figures of the relations without a curve of their own."""
    few = ~np.isin(examples.relation, list(calibration.by_relation))
    probability = calibration.probabilities(scores, examples.relation)
    truth, weight = examples.truth, examples.weight
    errors = [
        calibration_error(probability[rows], truth[rows], weight[rows])
        for rows in (examples.relation == relation for relation in np.unique(examples.relation[few]))
    ]
    right = np.clip(np.where(truth, probability, 1 - probability), 1e-9, 1)[few]
    values = (
        np.average((1 - right) ** 2, weights=weight[few]),
        np.average(-np.log(right), weights=weight[few]),
        calibration_error(probability[few], truth[few], weight[few]),
        np.mean(errors),
        np.max(errors),
    )
    return [str(len(errors)), f"{int(truth[few].sum()):,}", *(f"{value:.3f}" for value in values)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
    for folder in parser.parse_args().runs:
        run = load_run(folder)
        encode = run.model.encode_all()
        pooled = fit_calibration(run.model, run.data, encode=encode)
        examples = draw_examples(run.data, "test")
        scores = scores_of(run.model, examples.triples, encode)
        for name, calibration in (("common", replace(pooled, pooled={})), ("pooled", pooled)):
            print("| " + " | ".join([folder.name, name, *figures(calibration, scores, examples)]) + " |")


if __name__ == "__main__":
    main()

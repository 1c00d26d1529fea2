"""What answers questions about a run: its model with its probabilities, and whom it has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictokg.prediction.newcomer import Newcomer
    from pictokg.prediction.predictor import Predictor
    from pictokg.run import Run


def predictor_of(folder: Path, trained: Run, newcomer: Newcomer | None = None, *, warns: bool = True) -> Predictor:
    """A predictor with the calibration of the run, which also knows the newcomer if there is one.

    Args:
        folder: of the run; trained: what was loaded from it.
        warns: say why where there can be no probabilities, since there are no triples to calibrate on.
    """
    from pictokg.prediction.calibration import calibration_of, why_not
    from pictokg.prediction.newcomers import Reception
    from pictokg.prediction.predictor import Predictor

    predictor = Predictor(trained.model, trained.data)
    if warns or not why_not(trained.data):
        predictor.calibration = calibration_of(folder, trained.model, trained.data, encode=predictor.encode)
    if newcomer is None:
        return predictor
    return Reception(trained.model, trained.data).predictor(predictor, [newcomer])

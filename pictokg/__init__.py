"""PictoKG completes knowledge graphs whose entities have pictures and words.

>>> import pictokg
>>> pictokg.__all__
['Predictor', 'build', 'classify', 'evaluate', 'fit', 'load', 'load_run']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictokg.assembly import build, fit
    from pictokg.datasets.load import load
    from pictokg.evaluation.classification import classify
    from pictokg.evaluation.ranking import evaluate
    from pictokg.prediction.predictor import Predictor
    from pictokg.run import load_run

__version__ = "0.1.0"
__all__ = ["Predictor", "build", "classify", "evaluate", "fit", "load", "load_run"]

_HOMES = {
    "Predictor": "pictokg.prediction.predictor",
    "build": "pictokg.assembly",
    "classify": "pictokg.evaluation.classification",
    "evaluate": "pictokg.evaluation.ranking",
    "fit": "pictokg.assembly",
    "load": "pictokg.datasets.load",
    "load_run": "pictokg.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `pictokg --help` loads no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pictokg' has no attribute {name!r}")
    import importlib
    import sys

    value = getattr(importlib.import_module(_HOMES[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value

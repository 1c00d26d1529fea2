"""Words through any model of sentence-transformers, with its own pooling and scaling.

Reimers and Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import DataError
from pictokg.features.encoders._hub import download, files_of, folder_of, normal
from pictokg.features.encoders._precision import Precision, settle
from pictokg.features.encoders._transformers import quiet
from pictokg.features.encoders._words import ENDLESS, PROBE, TextNetwork, Words

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class SentenceTransformers(Words):
    """Rows of a sentence-transformers model, as its `encode` gives them.

    Args:
        source: the folder of a model, or its id on the Hugging Face hub if it has been downloaded to this machine.
        sentences: a row for each sentence instead of one for the whole text.
        precision: "auto" computes in bfloat16 where the processor has it and rows keep a cosine of 0.999.
    """

    name = "st"
    source_means = "FOLDER or st:ID, as st:sentence-transformers/all-mpnet-base-v2"
    packages = (("sentence_transformers", "encoders"),)

    def __init__(self, source: str, sentences: bool = False, precision: Precision = "auto") -> None:
        super().__init__({"source": normal(source, self.source_means), "sentences": sentences, "precision": precision})

    def files(self) -> Sequence[Path]:
        """The files of the model's folder."""
        return files_of(folder_of(self._options["source"], self.name))

    def download(self) -> None:
        """Fetch the model from the hub, where it is not on this machine yet."""
        download(self._options["source"], self.name)

    def _load(self) -> TextNetwork:
        folder = folder_of(self._options["source"], self.name)
        return SentenceNetwork(folder, self._options["precision"], self.device)


class SentenceNetwork:
    """A model of sentence-transformers; DataError where its folder cannot be read."""

    def __init__(self, folder: Path, precision: Precision, device: str) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            with quiet():
                self.model = SentenceTransformer(str(folder), device="cpu", local_files_only=True).float().eval()
        except Exception as error:  # whatever a damaged file makes readers raise
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise DataError(
                f"cannot read the model ({lines[0]})",
                file=folder,
                remedy="take a whole model of sentence-transformers",
            ) from error
        self.limit = min(self.model.get_max_seq_length() or ENDLESS, ENDLESS)
        self.width = len(self._rows(PROBE[:1])[0])
        self.precision = settle(self.model, lambda: self._rows(PROBE), precision, device)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included."""
        return [len(ids) for ids in self.model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    def rows(self, texts: Sequence[str]) -> Float[np.ndarray, "texts width"]:
        """Encode a batch of texts."""
        return self._rows(texts).cpu().numpy()

    def _rows(self, texts: Sequence[str]) -> Tensor:
        return self.model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False).float()

"""Pictures or words through any model of transformers: ViT, BEiT, CLIP, SigLIP, DINOv2, ResNet, BERT and their like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import ConfigError
from pictokg.features.encoders._hub import download, files_of, folder_of, normal
from pictokg.features.encoders._precision import Precision
from pictokg.features.encoders._pretrained import Pretrained
from pictokg.features.encoders._vision import Pooling, VisionNetwork
from pictokg.features.encoders._words import TextNetwork, WordNetwork, Words
from pictokg.features.encoders.base import Encoded, Ready, encode_in_batches

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Item, Reader


SOURCE = "FOLDER or hf:ID, as hf:google/vit-base-patch16-224"
PACKAGES = (("transformers", "encoders"), ("huggingface_hub", "encoders"))


class HuggingFacePictures(Pretrained[VisionNetwork]):
    """Rows of a pretrained network of pictures, as it gives them.

    The row of the whole picture is "cls", the class token; "mean", of the patch tokens; or "pooler", what the model
    itself calls pooled, for CLIP and SigLIP the space that pictures and words share. "auto" takes the shared space
    where there is one; else the pooler, unless it has a dense layer of its own, as ViT's, which few published weights
    train; else the class token; else the mean.

    Args:
        source: the folder of a model, or its id on the Hugging Face hub if it has been downloaded to this machine.
        pooling: see above.
        patches: besides a row for the whole picture, rows for its parts, special tokens left out; CLIP's are brought
            into the shared space as its class token is.
        grid: patches are averaged to grid × grid cells; 0 keeps each patch of the network.
        precision: "auto" computes in bfloat16 where the processor has it and rows keep a cosine of 0.999.
    """

    name = "hf"
    modality = "image"
    source_means = SOURCE
    packages = PACKAGES
    batch = 32
    part = 128

    def __init__(
        self,
        source: str,
        pooling: Pooling = "auto",
        patches: bool = False,
        grid: int = 4,
        precision: Precision = "auto",
    ) -> None:
        if grid < 0:
            raise ConfigError(f"hf: grid must not be negative, got {grid}")
        options = {"source": normal(source, SOURCE), "pooling": pooling, "patches": patches, "grid": grid}
        super().__init__({**options, "precision": precision})

    def files(self) -> Sequence[Path]:
        """The files of the model's folder."""
        return files_of(folder_of(self._options["source"], self.name))

    @property
    def width(self) -> int:
        """Numbers in a row; loads the network."""
        return self.network.width

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Rows of pictures; keys are empty for the whole and "patch 0,0" and so on for parts."""
        return encode_in_batches(self, self.reader(), items)

    def reader(self) -> Reader:
        """What prepares pictures."""
        return self.network.reader()

    def encode_ready(self, ready: Ready) -> Encoded:
        """Rows of prepared pictures."""
        if not ready.places:
            return Encoded(np.empty((0, self.width), np.float32), np.empty(0, np.int64), [], ready.skipped)
        return by_picture(self.network.rows(ready.arrays), self.network.keys(), ready)

    def download(self) -> None:
        """Fetch the model from the hub, where it is not on this machine yet."""
        download(self._options["source"], self.name)

    def _load(self) -> VisionNetwork:
        folder, options = folder_of(self._options["source"], self.name), self._options
        grid = options["grid"] if options["patches"] else None
        return VisionNetwork(folder, options["pooling"], grid, options["precision"], self.device)


class HuggingFaceWords(Words):
    """Rows of a pretrained network of words, as it gives them.

    The row of a text is "cls", the class token; "mean", of all its tokens; or "pooler", what the model itself calls
    pooled, for CLIP and SigLIP the space that pictures and words share. "auto" takes the shared space where there is
    one, else the mean.

    Args:
        source: the folder of a model, or its id on the Hugging Face hub if it has been downloaded to this machine.
        pooling: see above.
        sentences: a row for each sentence instead of one for the whole text.
        precision: "auto" computes in bfloat16 where the processor has it and rows keep a cosine of 0.999.
    """

    name = "hf"
    source_means = SOURCE
    packages = PACKAGES

    def __init__(
        self, source: str, pooling: Pooling = "auto", sentences: bool = False, precision: Precision = "auto"
    ) -> None:
        options = {"source": normal(source, SOURCE), "pooling": pooling, "sentences": sentences}
        super().__init__({**options, "precision": precision})

    def files(self) -> Sequence[Path]:
        """The files of the model's folder."""
        return files_of(folder_of(self._options["source"], self.name))

    def download(self) -> None:
        """Fetch the model from the hub, where it is not on this machine yet."""
        download(self._options["source"], self.name)

    def _load(self) -> TextNetwork:
        folder = folder_of(self._options["source"], self.name)
        pooling, precision = self._options["pooling"], self._options["precision"]
        return WordNetwork(folder, pooling, precision=precision, device=self.device)


def by_picture(values: np.ndarray, keys: Sequence[str], ready: Ready) -> Encoded:
    """Lay out (pictures, rows, width) as one row after another; pictures with infinite numbers are skipped."""
    finite = np.isfinite(values).all(axis=(1, 2))
    places = np.asarray(ready.places, dtype=np.int64)
    skipped = [*ready.skipped, *((int(place), "the encoder's numbers are not finite") for place in places[~finite])]
    rows = values[finite].reshape(-1, values.shape[2])
    owner = np.repeat(places[finite], len(keys))
    return Encoded(rows.astype(np.float32, copy=False), owner, [*keys] * int(finite.sum()), sorted(skipped))

"""Networks of words: texts or sentences to rows, long ones cut and said to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pictokg.errors import ConfigError
from pictokg.features.encoders._precision import Precision, settle
from pictokg.features.encoders._pretrained import Pretrained
from pictokg.features.encoders._sentences import parts_of_text
from pictokg.features.encoders._transformers import read, read_config, read_model
from pictokg.features.encoders.base import Encoded

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pictokg.features.encoders.base import Item

BATCH = 64  # texts encoded together, of about the same length
PROBE = ("A city on the Seine, the capital of France.", "suit", "Letter A with acute, of the Latin script")
ENDLESS = 100_000  # a tokenizer's limit above this means that it has none


class TextNetwork(Protocol):
    """What turns texts into rows; `limit` is the number of tokens that it reads of each."""

    width: int
    limit: int
    precision: str

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included."""

    def rows(self, texts: Sequence[str]) -> Float[np.ndarray, "texts width"]:
        """Encode a batch."""


def encode_texts(network: TextNetwork, items: Sequence[Item], *, sentences: bool) -> Encoded:
    """Encode texts, or each of their sentences; empty ones are skipped, long ones read to the limit."""
    parts = [
        (place, key, text)
        for place, item in enumerate(items)
        for key, text in parts_of_text(str(item), sentences=sentences)
        if text.strip()
    ]
    texts = [text for _, _, text in parts]
    lengths = network.lengths(texts) if texts else []
    values = np.empty((len(texts), network.width), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda row: lengths[row])  # texts of a batch are filled up to the longest
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        values[batch] = network.rows([texts[row] for row in batch])
    finite = np.isfinite(values).all(axis=1)
    owner = np.array([place for place, _, _ in parts], dtype=np.int64)
    skipped = dict.fromkeys(range(len(items)), "empty text")
    skipped |= dict.fromkeys(owner.tolist(), "the encoder's numbers are not finite")
    kept = np.flatnonzero(finite)
    for place in owner[kept].tolist():
        skipped.pop(place, None)
    cut = {
        parts[row][0]: f"{length:,} tokens, of which the encoder reads {network.limit:,}"
        for row, length in enumerate(lengths)
        if length > network.limit
    }
    return Encoded(
        values[kept], owner[kept], [parts[row][1] for row in kept], sorted(skipped.items()), sorted(cut.items())
    )


class WordNetwork:
    """A text model of transformers with its tokenizer.

    Args:
        folder: with config.json, the tokenizer's files and weights.
        pooling: "auto" (the joint space of CLIP and its like, else the mean), "cls", "mean" (over the tokens of the
            text, special ones included) or "pooler".
        settings: how many tokens at most to read, and whether to scale rows to norm 1.
        precision, device: see `settle`.

    Raises:
        ConfigError: the model is none of words, or has no such pooling. DataError: its files cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        pooling: str,
        settings: tuple[int | None, bool] = (None, False),
        precision: Precision = "auto",
        device: str = "cpu",
    ) -> None:
        import torch

        self.folder, self.device, self._normalise = folder, device, settings[1]
        self.config = read_config(folder)
        self.joint = hasattr(self.config, "text_config") and hasattr(self.config, "vision_config")
        self._own = getattr(self.config, "text_config", self.config)
        pictures = hasattr(self.config, "num_channels") or hasattr(self.config, "image_size")
        if pictures or not hasattr(self._own, "vocab_size"):
            raise ConfigError(f"{folder}: a model of type {self.config.model_type!r} does not encode words")
        self.model, self.untrained = read_model(folder)
        if self.joint and not hasattr(self.model, "get_text_features"):
            raise ConfigError(f"{folder}: a model of type {self.config.model_type!r} does not encode words")
        self.tokenizer = read(folder, "AutoTokenizer", "the tokenizer")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        self.limit = self._limit(settings[0])
        self.pooling = pooling
        if pooling == "cls" and self.tokenizer.cls_token is None:
            raise ConfigError(f"{folder}: its texts start with no class token; use pooling=auto or mean")
        with torch.inference_mode():
            self.width = int(self._rows(PROBE).shape[-1])
            self.precision = settle(self.model, lambda: self._rows(PROBE), precision, device)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included."""
        return [len(ids) for ids in self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    def rows(self, texts: Sequence[str]) -> Float[np.ndarray, "texts width"]:
        """Encode a batch of texts."""
        import torch

        with torch.inference_mode():
            return self._rows(texts).cpu().numpy()

    def _rows(self, texts: Sequence[str]) -> Float[Tensor, "texts width"]:
        import torch

        # SigLIP was trained on texts filled up to its full length, and shown nothing else.
        padding = "max_length" if self.config.model_type.startswith("siglip") else "longest"
        tokens = self.tokenizer(
            list(texts), truncation=True, max_length=self.limit, padding=padding, return_tensors="pt"
        ).to(self.device)
        model = self.model.get_encoder() if getattr(self.config, "is_encoder_decoder", False) else self.model
        output = (self.model.get_text_features if self.joint else model)(**tokens)
        rows = self._pooled(output, tokens).float()
        return torch.nn.functional.normalize(rows, dim=-1) if self._normalise else rows

    def _pooled(self, output: Any, tokens: Any) -> Tensor:
        pooled, hidden = getattr(output, "pooler_output", None), output.last_hidden_state
        pooling = self.pooling
        if pooling == "auto":
            # A pooler with a dense layer, as BERT's, was trained for one task only.
            dense = hasattr(getattr(self.model, "pooler", None), "dense")
            pooling = "pooler" if self.joint or (pooled is not None and not dense) else "mean"
        if pooling == "pooler":
            if pooled is None or any("pooler" in name for name in self.untrained):
                raise ConfigError(f"{self.folder}: its weights hold no pooler; use pooling=auto, cls or mean")
            return pooled
        if pooling == "cls":
            return hidden[:, 0]
        mask = tokens.get("attention_mask")
        weight = (tokens["input_ids"] >= 0 if mask is None else mask).unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)

    def _limit(self, wanted: int | None) -> int:
        """How many tokens the model has positions for, or fewer where that is wanted."""
        positions = getattr(self._own, "max_position_embeddings", None)
        places = getattr(getattr(self.model, "embeddings", None), "position_embeddings", None)
        if positions and (first := getattr(places, "padding_idx", None)) is not None:
            positions -= first + 1  # RoBERTa counts positions from there
        known = [wanted, self.tokenizer.model_max_length, positions]
        return min((limit for limit in known if limit and limit < ENDLESS), default=ENDLESS)


class Words(Pretrained[TextNetwork]):
    """An encoder of words alone: what `st` and `minilm` share."""

    modality = "text"

    @property
    def width(self) -> int:
        """Numbers in a row; loads the network."""
        return self.network.width

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Rows of texts; keys are empty for a whole text and "sentence 0" and so on for parts."""
        return encode_texts(self.network, items, sentences=self._options["sentences"])

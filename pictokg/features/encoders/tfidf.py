"""Words without pretrained weights: n-grams of characters and of words, weighted by rarity, compressed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders._sentences import parts_of_text
from pictokg.features.encoders.base import Encoded, digest, load_state, one_thread, save_state, unit_rows
from pictokg.files import write_text

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    from pictokg.features.encoders.base import Item

VERSION = 1  # of the numbers it makes; part of the fingerprint
TERMS = 16_384  # of each kind at most, the most frequent first
KINDS: dict[str, dict[str, Any]] = {
    "characters": {"analyzer": "char_wb", "ngram_range": (2, 5)},
    "words": {
        "analyzer": "word",
        "ngram_range": (1, 2),
        "token_pattern": r"(?u)\b\w+\b",
    },  # one letter is a word too
}


class TfIdf:
    """Latent semantic analysis of character and word n-grams (Deerwester et al., 1990).

        x_t = (1 + ln n_t) · (1 + ln((1 + N) / (1 + N_t))),   row = Vᵀ x Λ^(−1/4), scaled to norm 1

    n_t counts n-gram t in the text, N_t of N texts hold it; the n-grams of 2 to 5 characters within words and
    those of 1 and 2 words are each scaled to norm 1 and stand side by side. V and Λ are the first right
    singular vectors and squared singular values over all texts.

    Args:
        width: numbers in a row; fewer where there are fewer texts or n-grams.
        sentences: a row for each sentence instead of one for the whole text.
        seed: of the randomised decomposition.
    """

    name = "tfidf"
    modality = "text"

    def __init__(self, width: int = 256, sentences: bool = False, seed: int = 0) -> None:
        if width < 1:
            raise ConfigError(f"tfidf: width must be positive, got {width}")
        self.width, self.sentences, self.seed = width, sentences, seed
        self._options = {"width": width, "sentences": sentences, "seed": seed}
        self._counters: dict[str, CountVectorizer] = {}
        self._state: dict[str, np.ndarray] = {}

    @property
    def fitted(self) -> bool:
        """Whether it has been fitted or loaded."""
        return bool(self._state)

    def options(self) -> dict[str, Any]:
        """Return the arguments it was made with."""
        return dict(self._options)

    def fingerprint(self) -> str:
        """Digest the options and what was fitted."""
        return digest({**self._settings(), "terms": self._terms()}, self._state)

    def fit(self, items: Sequence[Item]) -> None:
        """Learn n-grams, their rarity and the compression from texts.

        Raises:
            DataError: no text holds a letter or a digit.
        """
        texts = [part for item in items for _, part in self._parts(item)]
        if not any(re.search(r"\w", text) for text in texts):
            raise DataError(f"none of {len(items):,} texts holds a word", remedy="fill the columns of text.tsv")
        self._counters, self._state = {}, {}  # of an earlier fit
        for kind in KINDS:
            self._counters[kind] = _counter(kind).fit(texts)
            counts = self._counters[kind].transform(texts)
            holding = np.bincount(counts.indices, minlength=counts.shape[1])
            self._state[f"rarity_{kind}"] = (1 + np.log((1 + len(texts)) / (1 + holding))).astype(np.float32)
        with one_thread():
            projection = _compression(self._weighted(texts), self.width, self.seed)
        self._adopt({**self._state, "projection": projection})

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Rows of texts; keys are empty for a whole text and "sentence 0" and so on for parts."""
        parts = [(place, key, text) for place, item in enumerate(items) for key, text in self._parts(item)]
        rows = self._weighted([text for _, _, text in parts]) @ self._projection if parts else ()
        values = unit_rows(np.asarray(rows, dtype=np.float32).reshape(len(parts), self.width))
        told = np.flatnonzero(values.any(axis=1))
        owner = np.array([parts[row][0] for row in told], dtype=np.int64)
        silent = np.setdiff1d(np.arange(len(items)), owner)
        skipped = [
            (int(place), "no part of the text is known" if str(items[place]).strip() else "empty text")
            for place in silent
        ]
        return Encoded(values[told], owner, [parts[row][1] for row in told], skipped)

    def save(self, folder: Path) -> None:
        """Write options, n-grams, rarities and compression."""
        save_state(folder, self._settings(), self._state)
        write_text(folder / "terms.json", json.dumps(self._terms(), ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> TfIdf:
        """Read what `save` wrote."""
        settings, state = load_state(folder)
        if settings["version"] != VERSION:
            raise DataError(
                f"was written by version {settings['version']} of tfidf, this is {VERSION}",
                file=folder,
                remedy="encode again: pictokg encode FOLDER",
            )
        encoder = cls(**settings["options"])
        terms = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
        encoder._counters = {kind: _counter(kind, terms[kind]) for kind in KINDS}
        encoder._adopt(state)
        return encoder

    def _adopt(self, state: dict[str, np.ndarray]) -> None:
        """Take over what was fitted."""
        self._state = state
        self._projection = state["projection"].astype(np.float32)
        self.width = self._projection.shape[1]

    def _settings(self) -> dict[str, Any]:
        return {"name": self.name, "version": VERSION, "options": self._options}

    def _terms(self) -> dict[str, list[str]]:
        return {kind: counter.get_feature_names_out().tolist() for kind, counter in self._counters.items()}

    def _parts(self, item: Item) -> list[tuple[str, str]]:
        """(key, text) of each part that makes a row."""
        return parts_of_text(str(item), sentences=self.sentences)

    def _weighted(self, texts: Sequence[str]) -> csr_matrix:
        """Make the matrix x of texts and n-grams."""
        from scipy.sparse import hstack
        from sklearn.preprocessing import normalize

        sides = []
        for kind, counter in self._counters.items():
            counts = counter.transform(texts).astype(np.float32)
            counts.data = 1 + np.log(counts.data)
            sides.append(normalize(counts.multiply(self._state[f"rarity_{kind}"]).tocsr()))
        return hstack(sides, format="csr")


def _counter(kind: str, terms: list[str] | None = None) -> CountVectorizer:
    """Make what counts the n-grams of a kind: those given, else those it will be fitted on."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(**KINDS[kind], vocabulary=terms, max_features=None if terms else TERMS)


def _compression(weighted: csr_matrix, width: int, seed: int) -> np.ndarray:
    """V Λ^(−1/4) of the first components, (n-grams, width)."""
    from sklearn.decomposition import TruncatedSVD

    possible = max(1, min(width, *(size - 1 for size in weighted.shape)))
    with np.errstate(divide="ignore", invalid="ignore"):  # the share of variance explained, where there is none
        analysis = TruncatedSVD(possible, algorithm="randomized", n_iter=3, random_state=seed).fit(weighted)
    kept = max(1, int((analysis.singular_values_ > 1e-5 * analysis.singular_values_[0]).sum()))
    halved = analysis.components_[:kept] / np.sqrt(analysis.singular_values_[:kept, None])
    return halved.T.astype(np.float16)  # half the file

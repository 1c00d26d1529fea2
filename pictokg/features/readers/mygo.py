"""MyGO, MMKGC-Agent, C2RS: `tokens/<DATA>-visual.json`, {entity: [token, …]}, with a codebook, a vector a token."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features.readers._rows import Rows, numbers
from pictokg.features.readers._tensors import load_tensors

ORDER = "entity2id.txt, where the keys are ids, as in DB15K"


def read(path: Path, *, codebook: Path, keep: int = 8, first: int = 0) -> Rows:
    """Read an entity's most frequent tokens as rows: those of the codebook.

    Args:
        path: JSON; keys are entities (or ids, with an order declared).
        codebook: a tensor (tokens, width), as `tokens/visual.pth`; its last row may be padding, which no token names.
        keep: how many different tokens an entity keeps, the most frequent first, equals in order of occurrence.
        first: look at that many tokens of an entity only, 196 for the first picture of BEiT; all when 0.
    """
    if keep < 1 or first < 0:
        raise ConfigError(f"keep is at least 1 and first at least 0; got {keep} and {first}")
    book = numbers(load_tensors(codebook), codebook, "the codebook")
    if book.ndim != 2:
        raise DataError(f"expected a codebook (tokens, width), found {book.shape}", file=codebook)
    owner, tokens = list[str](), list[int]()
    for entity, found in _load(path).items():
        kept = [token for token, _ in Counter(_tokens(found, entity, path)[: first or None]).most_common(keep)]
        owner += [entity] * len(kept)
        tokens += kept
    wrong = next((place for place, token in enumerate(tokens) if not 0 <= token < len(book)), None)
    if wrong is not None:
        raise DataError(
            f"entity {owner[wrong]!r} has the token {tokens[wrong]}, but {codebook.name} has {len(book):,} rows",
            file=path,
            remedy="give the codebook of the tokenizer that made the file: --set codebook=FILE",
        )
    return Rows(book[np.array(tokens, dtype=np.int64)], owner, [f"token {token}" for token in tokens])


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"is no JSON ({error})", file=path) from error
    if not isinstance(found, dict):
        raise DataError(f"expected {{entity: [token, …]}}, found {type(found).__name__}", file=path)
    return found


def _tokens(found: Any, entity: str, path: Path) -> list[int]:
    if not isinstance(found, list) or not all(type(token) is int for token in found):
        raise DataError(f"entity {entity!r} has no list of whole numbers", file=path)
    return found

"""Each distinct entity is encoded once a step, whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Memo:
    """A look-up `memo(ids)` of static encodings that runs the encoder for new ids only.

    Gradients of all uses meet in the one encoding. `clear` forgets everything between steps.
    """

    def __init__(self, encode: Callable[[Tensor], Tensor], num_entities: int, device: torch.device) -> None:
        self._encode = encode
        self._position = torch.full((num_entities,), -1, dtype=torch.long, device=device)
        self._ids: list[Tensor] = []
        self._rows: Tensor | None = None

    def clear(self) -> None:
        """Forget the encodings of the last step."""
        for ids in self._ids:
            self._position[ids] = -1
        self._ids, self._rows = [], None

    @property
    def touched(self) -> Tensor:
        """The distinct ids encoded since `clear`."""
        return torch.cat(self._ids) if self._ids else self._position.new_zeros(0)

    @property
    def rows(self) -> Tensor | None:
        """The encodings of `touched`."""
        return self._rows

    def __call__(self, ids: Tensor) -> Tensor:
        """Encodings of ids (…) as (…, [views,] width)."""
        fresh = ids[self._position[ids] < 0].unique() if ids.numel() else ids.reshape(-1)
        if len(fresh):
            self._add(fresh)
        if self._rows is None:
            return self._encode(ids.reshape(-1)).unflatten(0, ids.shape)
        if len(self._ids) == 1 and torch.equal(ids, self._ids[0]):
            return self._rows  # all of them in order, as 1-vs-all asks: no copy
        # F.embedding, because its backward pass is parallel where that of plain indexing is not
        flat = torch.nn.functional.embedding(self._position[ids], self._rows.flatten(1))
        return flat.unflatten(-1, self._rows.shape[1:])

    def _add(self, fresh: Tensor) -> None:
        start = sum(len(ids) for ids in self._ids)
        self._position[fresh] = torch.arange(start, start + len(fresh), device=fresh.device)
        encoded = self._encode(fresh)
        self._rows = encoded if self._rows is None else torch.cat([self._rows, encoded])
        self._ids.append(fresh)

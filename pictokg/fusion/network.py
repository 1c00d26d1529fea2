"""Networks that look at raw pictures, and learn to through the loss of the whole model."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

from pictokg.errors import ConfigError
from pictokg.fusion.rows import AttributeRows, PooledRows, rows_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.features.table import FeatureTable

Kind = Literal["conv", "vit"]
WIDTH = 128  # numbers in a row that a network makes
AT_ONCE = 4096  # pictures that go through a network together where no gradients are kept
RAW = re.compile(r"(^|[-_])raw($|[-_])")


class Convolutions(nn.Module):
    """Three convolutions of stride 2, and a layer over what is left of the picture: 0.8 M products at 32 × 32."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        widths = [channels, 16, 32, 64]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.out = nn.Linear(64 * (side // 8) ** 2, WIDTH)

    def forward(self, pictures: Float[Tensor, "pictures channels side side"]) -> Float[Tensor, "pictures width"]:
        """Rows of pictures."""
        for layer in self.layers:
            pictures = F.relu(layer(pictures))
        return self.out(pictures.flatten(1))


class Transformer(nn.Module):
    """A small vision transformer: patches of an eighth to a quarter of the side, two layers, their mean.

    Dosovitskiy et al., *An Image is Worth 16x16 Words*, ICLR 2021.
    """

    def __init__(self, channels: int, side: int, *, width: int = 64, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        patch = side // 8 if side > 32 else side // 4
        self.cut = nn.Conv2d(channels, width, patch, stride=patch)
        self.place = nn.Parameter(torch.randn((side // patch) ** 2, width) * 0.02)
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
                for _ in range(depth)
            )
        )
        self.out = nn.Linear(width, WIDTH)

    def forward(self, pictures: Float[Tensor, "pictures channels side side"]) -> Float[Tensor, "pictures width"]:
        """Rows of pictures."""
        patches = self.cut(pictures).flatten(2).transpose(1, 2) + self.place
        return self.out(self.layers(patches).mean(dim=1))


NETWORKS: dict[str, type[Convolutions] | type[Transformer]] = {"conv": Convolutions, "vit": Transformer}


class Seen(nn.Module):
    """What a network sees in an entity's raw pictures: x_i = mean_k LN(f(picture_ik)), LN without parameters.

    In training one picture of each entity, drawn anew every time, stands for all; in use it is the mean of all.

    Args:
        table: rows of raw pixels in 0 … 1 (encoder `raw`); kind: the network.
        trainable: False keeps the network as it was drawn.
    """

    width = WIDTH

    def __init__(self, table: FeatureTable, kind: Kind = "conv", *, trainable: bool = True) -> None:
        super().__init__()
        self.shape, self.table_name = shape_of(table), table.name
        self.network = NETWORKS[kind](self.shape[0], self.shape[1]).requires_grad_(trainable)
        self._take(table)
        self.pixels: Tensor
        self.start: Tensor
        self.count: Tensor

    def of(self, table: FeatureTable) -> Seen:
        """The same over the pictures of other entities."""
        twin = copy.copy(self)
        twin._buffers = {}
        twin._take(table)
        return twin.to(self.pixels.device)

    def forward(self, ids: Int[Tensor, " entities"]) -> tuple[Float[Tensor, "entities width"], Tensor]:
        """Rows (entities, width), zero where missing, and how many pictures each has (entities,)."""
        count, rows = self.count[ids], None
        there = count > 0
        if self.training:
            drawn = (torch.rand(len(ids), device=ids.device) * count).long()  # dropout, too, draws from this generator
            seen = self.see((self.start[ids] + drawn)[there])
            rows = seen.new_zeros(len(ids), WIDTH)
            rows[there] = seen
            return rows, count
        owner = torch.repeat_interleave(torch.arange(len(ids), device=ids.device), count)
        before = count.cumsum(0) - count
        place = torch.arange(len(owner), device=ids.device) + (self.start[ids] - before)[owner]
        parts = [self.see(part) for part in place.split(AT_ONCE)]
        seen = torch.cat(parts) if parts else self.pixels.new_zeros(0, WIDTH, dtype=torch.float32)
        rows = seen.new_zeros(len(ids), WIDTH).index_add(0, owner, seen)
        return rows / count.clamp_min(1).unsqueeze(1), count

    def see(self, place: Int[Tensor, " pictures"]) -> Float[Tensor, "pictures width"]:
        """Rows of these pictures."""
        pictures = self.pixels[place].float().div(127.5).sub(1).unflatten(1, self.shape)
        return F.layer_norm(self.network(pictures).float(), (WIDTH,))

    def _take(self, table: FeatureTable) -> None:
        """Hold the pixels of a table, a byte each."""
        pixels = torch.from_numpy((table.values * 255).round().clip(0, 255).astype("uint8"))
        self.register_buffer("pixels", pixels, persistent=False)
        self.register_buffer("start", torch.from_numpy(table.offsets[:-1].astype("int64")), persistent=False)
        self.register_buffer("count", torch.from_numpy(table.counts.astype("int64")), persistent=False)


def shape_of(table: FeatureTable) -> tuple[int, int, int]:
    """Channels, height and width of the pictures in a table of raw pixels."""
    channels = 1 if math.isqrt(table.width) ** 2 == table.width else 3  # 3 · side² is the square of no integer
    side = math.isqrt(table.width // channels)
    if channels * side**2 != table.width or side % 8:
        raise ConfigError(f"{table.name} has {table.width} numbers a row, which are no square picture; encode with raw")
    return channels, side, side


def tables_of(
    tables: Mapping[str, FeatureTable], kind: Kind, *, trainable: bool
) -> dict[str, PooledRows | AttributeRows | Seen]:
    """Rows as each table needs them, raw pictures through a network.

    Raises:
        ConfigError: a network is to be trained, and no table holds raw pictures.
    """
    raw = [name for name, table in tables.items() if RAW.search(table.name)]
    if trainable and not raw:
        have = ", ".join(table.name for table in tables.values()) or "none"
        raise ConfigError(f"trainable=true needs raw pictures; set features.image=raw (the tables are: {have})")
    return {
        name: Seen(table, kind, trainable=trainable) if name in raw else rows_of(table)
        for name, table in tables.items()
    }

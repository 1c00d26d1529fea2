"""Networks of pictures through transformers: from prepared pixels to rows for the whole and for its patches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from pictokg.errors import ConfigError
from pictokg.features.encoders._precision import Precision, settle
from pictokg.features.encoders._prepare import Geometry, Processed
from pictokg.features.encoders._transformers import read, read_config, read_model

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pictokg.features.encoders.base import Reader

Pooling: TypeAlias = Literal["auto", "cls", "mean", "pooler"]
EXACT = 2e-5  # largest difference of prepared pixels at which our preparing is the processor's own
PROBES = ((1.5, 2.2), (2.8, 1.2), (0.7, 1.0), (1.0, 1.0))  # widths and heights of pictures to try it on, in sides


class VisionNetwork:
    """A picture model of transformers with its processor.

    Args:
        folder: with config.json, preprocessor_config.json and weights.
        pooling: what becomes the row of the whole picture.
        grid: None for whole pictures alone; else patches too, averaged to grid × grid cells, 0 for each patch itself.
        precision, device: see `settle`.

    Raises:
        ConfigError: the model is none of pictures, or has no such pooling or patches.
        DataError: its files cannot be read.
    """

    def __init__(
        self, folder: Path, pooling: Pooling, grid: int | None, precision: Precision = "auto", device: str = "cpu"
    ) -> None:
        import torch

        self.folder, self.pooling, self.grid, self.device = folder, pooling, grid, device
        self.config = read_config(folder)
        self.model, self.untrained = read_model(folder)
        self.joint = hasattr(self.config, "vision_config")
        if not hasattr(getattr(self.config, "vision_config", self.config), "num_channels") or (
            self.joint and not hasattr(self.model, "get_image_features")
        ):
            raise ConfigError(f"{folder}: a model of type {self.config.model_type!r} does not encode pictures")
        self.processor = read(folder, "AutoImageProcessor", "preprocessor_config.json")
        self.geometry = self._geometry()
        probe = self._probe()
        with torch.inference_mode():
            first = self._rows(probe)
            self.width, self.cells = int(first.shape[-1]), self._cells
            self.precision = settle(self.model, lambda: self._rows(probe).flatten(0, 1), precision, device)

    def reader(self) -> Reader:
        """What prepares pictures: ours where it does as the processor does, else the processor."""
        return self.geometry or Processed(str(self.folder), _side(self.processor))

    def rows(self, arrays: Mapping[str, np.ndarray]) -> Float[np.ndarray, "pictures rows width"]:
        """Encode prepared pictures: the whole first, then patches row by row."""
        import torch

        with torch.inference_mode():
            return self._rows(arrays).cpu().numpy()

    def keys(self) -> list[str]:
        """What each row of a picture shows: empty for the whole, "patch 0,0" and so on."""
        height, width = self.cells
        return ["", *(f"patch {row},{column}" for row in range(height) for column in range(width))]

    def _rows(self, arrays: Mapping[str, np.ndarray]) -> Float[Tensor, "pictures rows width"]:
        import torch

        inputs = {name: torch.from_numpy(value).to(self.device) for name, value in arrays.items() if name != "pixels"}
        if "pixels" in arrays:
            inputs["pixel_values"] = self._normalised(torch.from_numpy(arrays["pixels"]).to(self.device))
        inputs = {
            name: value.to(self.model.dtype) if value.is_floating_point() else value for name, value in inputs.items()
        }
        run = self.model.get_image_features if self.joint else self.model
        output = run(**inputs)
        whole, tokens, shape = self._whole(output, inputs["pixel_values"].shape[-2:])
        self._cells = (0, 0)
        if self.grid is None:
            return whole.float().unsqueeze(1)
        patches = self._averaged(self._like_whole(tokens), shape)
        if patches.shape[-1] != whole.shape[-1]:
            raise ConfigError(
                f"{self.folder}: its patches are {patches.shape[-1]} wide, its whole picture {whole.shape[-1]};"
                " use pooling=mean or pooling=cls with patches"
            )
        return torch.cat([whole.unsqueeze(1), patches], dim=1).float()

    def _whole(self, output: Any, size: Any) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """The row of the whole picture, its patch tokens (pictures, patches, width), and how these lie."""
        hidden = output.last_hidden_state
        if hidden.ndim == 4:  # a convolutional network: (pictures, channels, height, width)
            shape, before = (hidden.shape[2], hidden.shape[3]), 0
            hidden = hidden.flatten(2).transpose(1, 2)
        else:
            shape, before = self._shape(hidden.shape[1], size)
        tokens = hidden[:, before:]
        pooled = getattr(output, "pooler_output", None)
        pooled = None if pooled is None else pooled.flatten(1)
        pooling = self._chosen(pooled is not None, before)
        if pooling == "pooler":
            assert pooled is not None, "`_chosen` has seen to it"
            return pooled, tokens, shape
        return (hidden[:, 0] if pooling == "cls" else tokens.mean(dim=1)), tokens, shape

    def _shape(self, count: int, size: Any) -> tuple[tuple[int, int], int]:
        """(rows, columns) of the patches among so many tokens, and how many special tokens stand before them."""
        patch = getattr(getattr(self.config, "vision_config", self.config), "patch_size", None)
        if patch is not None:
            high, wide = patch if isinstance(patch, (tuple, list)) else (patch, patch)
            rows, columns = size[0] // high, size[1] // wide
            if rows * columns <= count:
                return (rows, columns), count - rows * columns
        side = math.isqrt(count)
        if side * side == count:  # patches that layers have merged, as Swin's
            return (side, side), 0
        raise ConfigError(f"{self.folder}: cannot tell which of its {count} tokens are patches")

    def _chosen(self, pooled: bool, before: int) -> str:
        """The pooling that was asked for, or for "auto" the one that the model was trained for."""
        trained = pooled and not any("pooler" in name for name in self.untrained)
        if self.pooling == "auto":
            # A pooler with a dense layer was trained for one task only, or never.
            dense = hasattr(getattr(self.model, "pooler", None), "dense")
            return "pooler" if trained and not dense else "cls" if before else "mean"
        if self.pooling == "pooler" and not trained:
            raise ConfigError(f"{self.folder}: its weights hold no pooler; use pooling=auto, cls or mean")
        if self.pooling == "cls" and not before:
            raise ConfigError(f"{self.folder}: it has no class token; use pooling=auto, mean or pooler")
        return self.pooling

    def _like_whole(self, tokens: Tensor) -> Tensor:
        """Bring patch tokens into the space that the class token of CLIP is brought into."""
        tower = getattr(self.model, "vision_model", None)
        if not self.joint or self.pooling not in ("auto", "pooler") or not hasattr(self.model, "visual_projection"):
            return tokens
        normalise = getattr(tower, "post_layernorm", None)
        return self.model.visual_projection(tokens if normalise is None else normalise(tokens))

    def _averaged(self, tokens: Tensor, shape: tuple[int, int]) -> Tensor:
        """Average patches over the cells of the grid: (pictures, cells, width)."""
        import torch

        self._cells = (min(self.grid or shape[0], shape[0]), min(self.grid or shape[1], shape[1]))
        if self._cells == shape:
            return tokens
        lying = tokens.float().transpose(1, 2).unflatten(2, shape)
        return torch.nn.functional.adaptive_avg_pool2d(lying, self._cells).flatten(2).transpose(1, 2)

    def _normalised(self, pixels: Tensor) -> Tensor:
        """(x · factor − mean) / deviation, by channel, as the processor does."""
        import torch

        values = pixels.float()
        if self.processor.do_rescale:
            values = values * self.processor.rescale_factor
        if self.processor.do_normalize:
            mean, deviation = (
                torch.tensor(numbers, dtype=torch.float32, device=pixels.device).reshape(-1, 1, 1)
                for numbers in (self.processor.image_mean, self.processor.image_std)
            )
            values = (values - mean) / deviation
        return values

    def _geometry(self) -> Geometry | None:
        """Our way of preparing pictures, where it comes to what the processor makes of the same pictures."""
        geometry = geometry_of(self.processor)
        if geometry is None:
            return None
        pictures = _pictures(min(geometry.size))
        ready = geometry(pictures)
        ours = self._normalised(_tensor(ready.arrays["pixels"])).numpy()
        theirs = np.asarray(self.processor(images=pictures, return_tensors="np")["pixel_values"])
        same = ours.shape == theirs.shape and float(np.abs(ours - theirs).max()) <= EXACT
        return geometry if same else None

    def _probe(self) -> Mapping[str, np.ndarray]:
        return self.reader()(_pictures(_side(self.processor) or 64)).arrays


def geometry_of(processor: Any) -> Geometry | None:
    """Read from a processor what it does to pictures; None where it says so in another way than most."""
    size, crop = _sizes(processor, "size"), _sizes(processor, "crop_size")
    if not getattr(processor, "do_resize", False) or size is None:
        return None
    keep_shape = size[1]
    target = size[0]
    middle = crop[0] if getattr(processor, "do_center_crop", False) and crop else None
    if (keep_shape and middle is None) or (middle and min(middle) > min(target)):
        return None  # pictures of several sizes, or padded ones
    resample = getattr(processor, "resample", None)
    return Geometry(target, middle, int(resample if resample is not None else 2), keep_shape)


def _sizes(processor: Any, name: str) -> tuple[tuple[int, int], bool] | None:
    """((height, width), whether only the shorter side is meant)."""
    found = getattr(processor, name, None)
    read = dict(found) if found is not None else {}
    if read.get("height") and read.get("width"):
        return (int(read["height"]), int(read["width"])), False
    if read.get("shortest_edge") and not read.get("longest_edge"):
        return (int(read["shortest_edge"]), int(read["shortest_edge"])), True
    return None


def _side(processor: Any) -> int:
    size = _sizes(processor, "size")
    return min(size[0]) if size else 0


def _pictures(side: int) -> list[Any]:
    """A few soft pictures of several shapes, about as large as needed, always the same."""
    from PIL import Image

    generator = np.random.default_rng(0)
    small = [generator.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in PROBES]
    return [
        Image.fromarray(values).resize((round(wide * side), round(high * side)), Image.Resampling.BICUBIC)
        for values, (wide, high) in zip(small, PROBES, strict=True)
    ]


def _tensor(array: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(array)

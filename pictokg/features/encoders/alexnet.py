"""Pictures through AlexNet up to its seventh layer, fc7, as IKRL used them; the weights are a file of yours.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012; as
one column: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders._precision import Precision, settle
from pictokg.features.encoders._prepare import Geometry
from pictokg.features.encoders._pretrained import Pretrained
from pictokg.features.encoders.base import Encoded, MissingWeightsError, Ready, encode_in_batches
from pictokg.features.encoders.hf import by_picture

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

    from pictokg.features.encoders.base import Item, Reader

# The eight layers by the names that torchvision gives them, with the height and width of their windows; None: dense.
LAYERS = {
    "features.0": 11,
    "features.3": 5,
    "features.6": 3,
    "features.8": 3,
    "features.10": 3,
    "classifier.1": None,
    "classifier.4": None,
    "classifier.6": None,
}
LAST = "classifier.6"  # names the classes of ImageNet; not needed, and may be missing
CELLS = 6  # height and width of what the fifth layer hands to the sixth
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, red, green, blue
BILINEAR = 2  # Pillow's number


class AlexNet(Pretrained["Layers"]):
    """The activations of fc7 (after the rectifier, or before it), 4,096 wide with the published weights.

    Pictures are resized so that the shorter side has 256 pixels; the middle 224 × 224 are taken.

    Args:
        source: a state dict, .pth or .safetensors, with torchvision's names: features.0.weight … classifier.4.bias.
        rectified: whether negative activations become 0, as the next layer sees them.
        precision: "auto" computes in bfloat16 where the processor has it and rows keep a cosine of 0.999.
    """

    name = "alexnet"
    modality = "image"
    source_means = "FILE, a state dict with torchvision's names, as alexnet:alexnet-owt-7be5be79.pth"
    batch = 32
    part = 128

    def __init__(self, source: str, rectified: bool = True, precision: Precision = "auto") -> None:
        path = Path(source).expanduser()
        super().__init__({"source": str(path.resolve()), "rectified": rectified, "precision": precision})

    def files(self) -> Sequence[Path]:
        """The state dict."""
        path = Path(self._options["source"])
        if not path.is_file():
            raise MissingWeightsError("there is no such file", file=path, remedy=f"give alexnet:{self.source_means}")
        return [path]

    @property
    def width(self) -> int:
        """Numbers in a row; loads the network."""
        return self.network.width

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Rows of pictures; keys are empty."""
        return encode_in_batches(self, self.reader(), items)

    def reader(self) -> Reader:
        """What prepares pictures."""
        return Geometry((256, 256), (224, 224), BILINEAR, keep_shape=True)

    def encode_ready(self, ready: Ready) -> Encoded:
        """Rows of prepared pictures."""
        if not ready.places:
            return Encoded(np.empty((0, self.width), np.float32), np.empty(0, np.int64), [], ready.skipped)
        return by_picture(self.network.rows(ready.arrays["pixels"])[:, None], [""], ready)

    def _load(self) -> Layers:
        weights = read_weights(Path(self._options["source"]))
        return Layers(weights, self._options["rectified"], self._options["precision"], self.device)


class Layers:
    """The layers up to fc7; their widths are those of the weights.

    Raises:
        DataError: weights are missing, or their shapes are not those of AlexNet.
    """

    def __init__(self, weights: Mapping[str, Tensor], rectified: bool, precision: Precision, device: str) -> None:
        import torch
        from torch import nn

        convolutions = [nn.Conv2d(*_sizes(weights, name), window) for name, window in LAYERS.items() if window]
        convolutions[0].stride, convolutions[0].padding = (4, 4), (2, 2)
        convolutions[1].padding = (2, 2)
        for convolution in convolutions[2:]:
            convolution.padding = (1, 1)
        first, second, third, fourth, fifth = convolutions
        sixth, seventh = (nn.Linear(*_sizes(weights, name)) for name in ("classifier.1", "classifier.4"))
        self._network = nn.Sequential(
            *(first, nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(second, nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(third, nn.ReLU()),
            *(fourth, nn.ReLU()),
            *(fifth, nn.ReLU(), nn.MaxPool2d(3, 2)),
            nn.Flatten(),
            *(sixth, nn.ReLU()),
            *((seventh, nn.ReLU()) if rectified else (seventh,)),
        ).eval()
        layers = zip(LAYERS, (*convolutions, sixth, seventh), strict=False)  # without the last
        for name, layer in layers:
            layer.load_state_dict({part: weights[f"{name}.{part}"] for part in ("weight", "bias")})
        self.width, self._device = seventh.out_features, device
        probe = np.random.default_rng(0).integers(0, 256, (4, 3, 224, 224), dtype=np.uint8)
        with torch.inference_mode():
            self.precision = settle(self._network, lambda: self._run(probe), precision, device)

    def rows(self, pixels: UInt8[np.ndarray, "pictures 3 224 224"]) -> Float[np.ndarray, "pictures width"]:
        """Encode prepared pictures."""
        import torch

        with torch.inference_mode():
            return self._run(pixels).cpu().numpy()

    def _run(self, pixels: np.ndarray) -> Tensor:
        import torch

        mean, deviation = (torch.tensor(numbers).reshape(-1, 1, 1) for numbers in (MEAN, DEVIATION))
        values = ((torch.from_numpy(pixels).float() / 255 - mean) / deviation).to(self._device)
        return self._network(values.to(next(self._network.parameters()).dtype)).float()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict and check that it is one of AlexNet; nothing in the file is run.

    Raises:
        DataError: it cannot be read, or its names or shapes are others.
    """
    import torch
    from safetensors.torch import load_file

    remedy = "give a state dict of AlexNet as torchvision writes it, .pth or .safetensors"
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a damaged or malicious file makes readers raise anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"cannot be read as weights alone ({lines[0]})", file=path, remedy=remedy) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping):
        raise DataError(f"holds a {type(found).__name__}, no state dict", file=path, remedy=remedy)
    weights = {str(name).removeprefix("module."): value for name, value in found.items()}
    needed = [f"{layer}.{part}" for layer in LAYERS if layer != LAST for part in ("weight", "bias")]
    if missing := [name for name in needed if not isinstance(weights.get(name), torch.Tensor)]:
        held = ", ".join(list(weights)[:4]) or "nothing"
        raise DataError(f"lacks {missing[0]} and {len(missing) - 1} more (it holds {held} …)", file=path, remedy=remedy)
    if problem := _misfit(weights):
        raise DataError(problem, file=path, remedy=remedy)
    return weights


def _misfit(weights: Mapping[str, Tensor]) -> str:
    """Say which shape is not AlexNet's; empty where all fit together."""
    given = 3
    for name, window in LAYERS.items():
        if name == LAST:
            break
        shape, bias = tuple(weights[f"{name}.weight"].shape), tuple(weights[f"{name}.bias"].shape)
        if name == "classifier.1":
            given *= CELLS * CELLS
        expected = (given, window, window) if window else (given,)
        if shape[1:] != expected or bias != shape[:1]:
            wanted = " × ".join(map(str, ("any", *expected)))
            return f"{name}.weight is {' × '.join(map(str, shape))} with a bias of {bias}, not {wanted}"
        given = shape[0]
    return ""


def _sizes(weights: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    """(inputs, outputs) of a layer."""
    outputs, inputs = weights[f"{name}.weight"].shape[:2]
    if outputs < 1:
        raise ConfigError(f"alexnet: layer {name} has no outputs")
    return inputs, outputs

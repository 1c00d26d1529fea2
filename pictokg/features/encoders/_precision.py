"""Half the bits where the processor computes with them, and only where the rows stay what they were."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeAlias

from pictokg.errors import ConfigError, DataWarning

if TYPE_CHECKING:
    from torch import Tensor, nn

Precision: TypeAlias = Literal["auto", "fp32", "bf16"]
NEAR = 0.999  # cosine to the rows of full precision that rows of half precision must have


def has_bf16(device: str) -> bool:
    """Whether a device multiplies matrices of bfloat16 faster than those of float32."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(able.get("amx_bf16") or able.get("avx512_bf16") or able.get("bf16"))


def settle(network: nn.Module, rows: Callable[[], Tensor], precision: Precision, device: str) -> str:
    """Put a network on its device, in bfloat16 where that is wanted, there, and near enough.

    Args:
        network: in float32, on the CPU; changed in place.
        rows: encodes a fixed probe with the network as it is, (probe, width), float32.
        precision: "auto" takes bfloat16 where the device has it and every row of the probe keeps a cosine of at
            least 0.999 to that of float32; "bf16" insists, "fp32" never does.
        device: as "cpu" or "cuda:0".

    Returns:
        "fp32" or "bf16".

    Raises:
        ConfigError: the network gives other rows each time, or bf16 was insisted on and changes the rows.
    """
    import torch

    network.to(device)
    wanted = precision == "bf16" or (precision == "auto" and has_bf16(device))
    exact = rows()
    if not torch.allclose(exact, rows(), rtol=1e-3, atol=1e-4):
        raise ConfigError(
            "the model gives other rows each time it sees the same; it cannot encode (a masked autoencoder?)"
        )
    if not wanted:
        return "fp32"
    before = [value.detach().clone() for value in _values(network)]
    network.to(torch.bfloat16)
    near = torch.nn.functional.cosine_similarity(exact, rows(), dim=-1)
    lowest = float(near.detach().nan_to_num(-1.0).min())
    if lowest >= NEAR:
        return "bf16"
    if precision == "bf16":
        raise ConfigError(
            f"in bf16 rows differ from those in fp32 (cosine {lowest:.4f}, not {NEAR}); use precision=fp32"
        )
    warnings.warn(f"bf16 would change the rows (cosine {lowest:.4f}); encoding in fp32", DataWarning, stacklevel=2)
    network.to(torch.float32)
    for value, old in zip(_values(network), before, strict=True):
        value.data.copy_(old)
    return "fp32"


def _values(network: nn.Module) -> Iterator[Tensor]:
    """All parameters and buffers, also buffers that are not saved."""
    return chain(network.parameters(), network.buffers())

"""Reading models of transformers from folders: nothing fetched, nothing run that the folder brings along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pictokg.errors import DataError


def read_config(folder: Path) -> Any:
    """Read config.json."""
    return read(folder, "AutoConfig", "config.json")


def read_model(folder: Path, **settings: Any) -> tuple[Any, set[str]]:
    """Read a model in float32, without running anything that its folder brings along.

    Returns:
        the model, and the names of parameters that its weights lack: of a pooler at most.

    Raises:
        DataError: the weights cannot be read, or are those of another model.
    """
    import torch

    model, info = read(folder, "AutoModel", "weights", output_loading_info=True, dtype=torch.float32, **settings)
    untrained = set(info["missing_keys"])
    if unknown := sorted(name for name in untrained if "pooler" not in name):
        raise DataError(
            f"its weights lack {len(unknown)} parameters of the model, as {unknown[0]}",
            file=folder,
            remedy="take the folder of a whole model",
        )
    return model.eval(), untrained


def read(folder: Path, kind: str, what: str, **settings: Any) -> Any:
    """Call from_pretrained of a class of transformers; DataError where the folder does not hold what it needs."""
    import transformers

    try:
        with quiet():
            return getattr(transformers, kind).from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **settings
            )
    except Exception as error:  # whatever a damaged file makes readers raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise DataError(
            f"cannot read {what} ({lines[0]})",
            file=folder,
            remedy="take a whole model of transformers, with safetensors or weights-only .bin files",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and telling of parameters that it did not need."""
    import transformers

    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

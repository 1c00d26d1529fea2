"""Where weights lie: in a folder, or in the local cache of a hub; nothing is fetched unless somebody asks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from pictokg.errors import ConfigError, DataError, MissingExtraError
from pictokg.features.encoders.base import MissingWeightsError

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@[\w./-]+)?")
# What decides the numbers that a folder of weights gives.
DECIDING = (".json", ".safetensors", ".bin", ".txt", ".model", ".vocab", ".pt", ".pth")
UNUSED = ["*.h5", "*.msgpack", "*.onnx", "*.ot", "*.gguf", "onnx/*", "openvino/*", "coreml/*", "*.md", ".git*"]
PATIENCE = 20  # seconds for a hub to answer whether it has a model


def normal(source: str, what: str) -> str:
    """Write a source so that it means the same from any folder: an id as it is, a path absolute.

    Args:
        source: a folder, a file, or the id of a model on a hub.
        what: what the encoder takes, for the error.

    Raises:
        ConfigError: neither a path that exists nor an id.
    """
    path = Path(source).expanduser()
    if path.exists():
        return str(path.resolve())
    if path.is_absolute():  # remembered by a run or a table; whether it is missed is seen when it is needed
        return str(path)
    if source.startswith((".", "~")) or not HUB_ID.fullmatch(source):
        raise ConfigError(f"there is no {source}; give {what}")
    return source


def folder_of(source: str, name: str) -> Path:
    """The folder with a model's files, found without any network.

    Raises:
        MissingWeightsError: they are not on this machine, with what to do.
    """
    if Path(source).is_absolute():
        if not Path(source).is_dir():
            raise MissingWeightsError(
                "there is no such folder",
                file=source,
                remedy=f"give the folder where the model lies now ({name}:FOLDER)",
            )
        return Path(source)
    require("huggingface_hub", "encoders", f"finding {source}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise MissingWeightsError(
            f"{name}:{source} is neither a folder nor a model that has been downloaded to this machine",
            remedy="with a network, fetch it once: add --download to pictokg encode; without one, copy its folder here"
            f" and give {name}:FOLDER; or take what needs no download: pixels, hog, tfidf, minilm",
        ) from error


def download(source: str, name: str) -> None:
    """Fetch a model of a hub into the local cache, where it is not there yet; a folder needs none.

    Raises:
        DataError: the hub cannot be reached or has no such model.
    """
    if Path(source).is_absolute():
        return
    require("huggingface_hub", "encoders", f"fetching {source}")
    from huggingface_hub import HfApi, snapshot_download

    repository, _, revision = source.partition("@")
    try:
        # A question that is asked once: the client's list of files asks five times more where there is no network.
        asked = HfApi().model_info(repository, revision=revision or None, timeout=PATIENCE)
        files = [file.rfilename for file in asked.siblings or ()]
        twice = ["*.bin", "*.pt", "*.pth"] if any(file.endswith(".safetensors") for file in files) else []
        snapshot_download(repository, revision=revision or None, ignore_patterns=[*UNUSED, *twice])
    except Exception as error:  # whatever the network, the hub or its client raises: the user's way on is the same
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"{name}:{source} cannot be fetched: {lines[0]}",
            remedy="check the id and the network (HF_ENDPOINT names a mirror, HF_TOKEN opens private models), or copy"
            f" the model's folder to this machine and give {name}:FOLDER",
        ) from error


def require(package: str, extra: str, purpose: str) -> None:
    """MissingExtraError when a package is not installed; it is not imported."""
    if find_spec(package) is None:
        raise MissingExtraError(package, extra, purpose)


def files_of(folder: Path) -> list[Path]:
    """The files of a model's folder that decide its numbers, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix in DECIDING and path.is_file())


def digest_files(files: Iterable[Path]) -> str:
    """Digest the names and contents of files."""
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as handle:
            found.update(f"{path.name} {hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return found.hexdigest()[:32]

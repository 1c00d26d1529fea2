"""Feature tables on disk: a folder that is there whole or not at all, with what its encoder fitted.

features/image-pixels/manifest.toml  values.npy  offsets.npy  keys.json  entities.txt  skipped.tsv  encoder/
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pictokg.errors import DataError
from pictokg.features.align import examples
from pictokg.features.table import FeatureTable
from pictokg.files import write_atomically, write_text
from pictokg.graph.names import read_names, write_names
from pictokg.graph.vocabulary import Vocabulary

FORMAT = 1
REMEDY = "remove the folder and make the table again: pictokg encode FOLDER"


@dataclass(frozen=True)
class Manifest:
    """What a stored table says of itself.

    Attributes:
        name, modality: as "image-pixels", "image".
        encoder: what made it, with its options, as "pixels"; empty for rows from outside.
        width, dtype, entities, present, instances: its sizes.
        fingerprint: of what it was made from and how.
        files: path in the folder → (bytes, SHA-256).
        by_attribute: see `FeatureTable`.
    """

    name: str
    modality: str
    encoder: str
    width: int
    dtype: str
    entities: int
    present: int
    instances: int
    fingerprint: str
    files: dict[str, tuple[int, str]]
    by_attribute: bool = False


def save(
    table: FeatureTable,
    folder: Path,
    entities: Vocabulary,
    *,
    modality: str,
    encoder: str = "",
    write_more: Callable[[Path], None] | None = None,
) -> None:
    """Write a table; a table that stood in the folder before is replaced only by a whole one.

    Args:
        table: its rows must be finite.
        folder: of this table alone.
        entities: the names of the table's entities, so that it can be aligned with another graph.
        modality: which of the entities' modalities it describes.
        encoder: what made it.
        write_more: writes further files into the folder it is given, as the state of the encoder.

    Raises:
        DataError: a number is NaN or infinite. PictoKGError: the disk refuses.
    """
    table.validate(entities.names)
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)  # left by a run that was killed
    try:
        _write(table, fresh, entities)
        if write_more is not None:
            write_more(fresh)
        files = {
            path.relative_to(fresh).as_posix(): [path.stat().st_size, _sha256(path)]
            for path in sorted(fresh.rglob("*"))
            if path.is_file()
        }
        settings = {
            "format": FORMAT,
            "name": table.name,
            "modality": modality,
            "encoder": encoder,
            "width": table.width,
            "dtype": str(table.values.dtype),
            "entities": table.num_entities,
            "present": int(table.present.sum()),
            "instances": len(table.values),
            "fingerprint": table.fingerprint,
            "by_attribute": table.by_attribute,
        }
        write_text(fresh / "manifest.toml", _toml(settings) + "\n[files] # bytes, SHA-256\n" + _toml(files))
        _put_in_place(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load(folder: Path, entities: Vocabulary | None = None, *, verify: bool = False) -> FeatureTable:
    """Read a table; its rows stay on disk and are read when asked for.

    Args:
        folder: what `save` wrote.
        entities: the names to align with; the table's own by default. Rows of other entities are left out.
        verify: compare the checksums of all files too, not only their sizes.

    Raises:
        DataError: a file is missing, cut short or (with `verify`) changed; no entity is one of `entities`.
    """
    manifest = read_manifest(folder)
    _check_files(folder, manifest, verify=verify)
    try:
        mapped = manifest.instances * manifest.width > 0  # nothing cannot be mapped
        values = np.load(folder / "values.npy", mmap_mode="r" if mapped else None, allow_pickle=False)
        offsets = np.load(folder / "offsets.npy", allow_pickle=False)
        keys = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", file=folder, remedy=REMEDY) from error
    table = FeatureTable(manifest.name, values, offsets, keys, manifest.fingerprint, manifest.by_attribute)
    own = read_names(folder / "entities.txt")
    if len(own) != table.num_entities:
        raise DataError(f"names {len(own):,} entities but holds {table.num_entities:,}", file=folder, remedy=REMEDY)
    if entities is None or entities == own:
        return table
    ids = own.ids(entities.names)
    if len(table.values) and not (ids >= 0).any():
        raise DataError(
            f"none of its {len(own):,} entities ({examples(own.names)}) is one of the graph's"
            f" ({examples(entities.names)})",
            file=folder,
            remedy=REMEDY,
        )
    return table.select(ids)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a stored table; DataError when the folder is none."""
    path = folder / "manifest.toml"
    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"is no feature table ({error.strerror})", file=path, remedy=REMEDY) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"is no TOML ({error})", file=path, remedy=REMEDY) from error
    if fields.pop("format", None) != FORMAT:
        raise DataError(f"is not of format {FORMAT}", file=path, remedy=REMEDY)
    try:
        files = {name: (int(size), str(sha256)) for name, (size, sha256) in fields.pop("files").items()}
        return Manifest(**fields, files=files)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"is incomplete ({error})", file=path, remedy=REMEDY) from error


def stored_tables(features: Path) -> dict[str, Manifest]:
    """List the tables in a features folder: folder name → manifest; empty where there is no such folder."""
    found = sorted(features.glob("*/manifest.toml")) if features.is_dir() else []
    return {path.parent.name: read_manifest(path.parent) for path in found if not path.parent.name.startswith(".")}


def encoder_folder(folder: Path) -> Path:
    """Where a stored table keeps what its encoder fitted; see `encoders.load_encoder`."""
    return folder / "encoder"


def _write(table: FeatureTable, folder: Path, entities: Vocabulary) -> None:
    write_atomically(folder / "values.npy", lambda path: _save_array(path, table.values))
    write_atomically(folder / "offsets.npy", lambda path: _save_array(path, table.offsets))
    write_text(folder / "keys.json", json.dumps(list(table.keys), ensure_ascii=False))
    write_names(folder / "entities.txt", entities)


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as handle:  # given a path, NumPy would add another ending to it
        np.save(handle, array, allow_pickle=False)


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename the fresh folder to its place; a folder that stood there is moved aside first, then removed."""
    aside = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    fresh.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _check_files(folder: Path, manifest: Manifest, *, verify: bool) -> None:
    for name, (size, sha256) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{name} is missing", file=folder, remedy=REMEDY)
        if path.stat().st_size != size:
            raise DataError(f"has {path.stat().st_size:,} bytes, not {size:,} as written", file=path, remedy=REMEDY)
        if verify and _sha256(path) != sha256:
            raise DataError("has changed since it was written (its checksum differs)", file=path, remedy=REMEDY)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _toml(values: dict[str, Any]) -> str:
    """Lines of a TOML table."""
    return "".join(f"{_toml_value(key)} = {_toml_value(value)}\n" for key, value in values.items())


def _toml_value(value: Any) -> str:
    """Write strings, numbers and lists as JSON, which is TOML too once the delete character is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

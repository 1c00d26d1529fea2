"""The encoding job: items in, a stored and aligned feature table out; cached, and resumable after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.errors import DataError
from pictokg.features import store
from pictokg.features.align import Coverage
from pictokg.features.encoders.base import digest
from pictokg.features.parts import Parts, parts_of
from pictokg.features.table import FeatureTable, offsets_of
from pictokg.files import write_text

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoded, Encoder
    from pictokg.features.items import Items

PART = 512  # items encoded between two writes
SKIPPED = "skipped.tsv"


@dataclass(frozen=True)
class Skipped:
    """An item that gave no row, and why."""

    entity: str
    key: str
    reason: str


@dataclass(frozen=True, eq=False)
class Encoding:
    """What an encoding gave.

    Attributes:
        table: aligned with the graph.
        folder: where it is stored.
        coverage: which entities have rows.
        skipped: items that gave none.
        items: how many there were; encoded: how many of them by this call, the others being there already.
        seconds: of this call; rate: items encoded a second, without fitting and storing.
        notes: what people should know.
    """

    table: FeatureTable
    folder: Path
    coverage: Coverage
    skipped: tuple[Skipped, ...]
    items: int
    encoded: int
    seconds: float
    rate: float
    notes: tuple[str, ...] = ()

    @property
    def cached(self) -> bool:
        """Whether nothing had to be encoded."""
        return self.encoded == 0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "name": self.table.name,
            "folder": str(self.folder),
            "width": self.table.width,
            "items": self.items,
            "encoded": self.encoded,
            "seconds": round(self.seconds, 3),
            "items_per_second": round(self.rate, 1),
            "fingerprint": self.table.fingerprint,
            "coverage": self.coverage.as_dict(),
            "skipped": [vars(item) for item in self.skipped],
            "notes": list(self.notes),
        }


def encode(
    items: Items,
    encoder: Encoder,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Encoding:
    """Encode items into a stored table; at once where the table is there already and nothing has changed.

    An encoder that is not fitted is fitted on the items first. Parts are written to FOLDER.partial as they
    are done; after a kill the next call uses them and comes to the same table. Items that cannot be read are
    skipped and listed.

    Args:
        items: pictures or texts with their entities.
        encoder: of their modality.
        folder: where to store the table; its name becomes the table's.
        progress: called with items done and items in all.

    Raises:
        DataError: no item can be read.
    """
    start = time.perf_counter()
    wanted = digest({"items": items.fingerprint(), "encoder": encoder.fingerprint()})
    asked, encoded, rate = encoder.width, 0, 0.0
    if not _is_stored(folder, wanted):
        with parts_of(folder) as parts:
            if not _is_stored(folder, wanted):  # another process may have been faster
                encoded, rate = _run(items, encoder, folder, (parts, wanted), progress)
    table = store.load(folder, items.entities)
    skipped = _read_skipped(folder)
    notes = _notes(items, skipped, asked, table.width)
    coverage = Coverage.of(table, items.unknown)
    seconds = time.perf_counter() - start
    return Encoding(table, folder, coverage, skipped, len(items), encoded, seconds, rate, notes)


def _is_stored(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds a sound table with this fingerprint."""
    try:
        return store.read_manifest(folder).fingerprint == fingerprint and store.load(folder) is not None
    except DataError:
        return False


def _run(
    items: Items,
    encoder: Encoder,
    folder: Path,
    work: tuple[Parts, str],
    progress: Callable[[int, int], None] | None,
) -> tuple[int, float]:
    """Fit, encode part by part, store; return the number of items encoded now, and how many a second."""
    parts, fingerprint = work
    parts.begin(fingerprint)
    encoder = parts.fitted(encoder, items.by_name())
    finished, encoded, start_time = [], 0, time.perf_counter()
    for number, start in enumerate(range(0, len(items), PART), start=1):
        batch = items.values[start : start + PART]
        part = parts.read(number)
        if part is None:
            part = encoder.encode(batch)
            parts.write(number, part)
            encoded += len(batch)
        finished.append(part)
        if progress is not None:
            progress(start + len(batch), len(items))
    rate = encoded / (time.perf_counter() - start_time)
    table, skipped = _assemble(items, finished, folder.name, fingerprint)

    def write_more(fresh: Path) -> None:
        encoder.save(store.encoder_folder(fresh))
        lines = [f"{item.entity}\t{item.key}\t{item.reason}\n" for item in skipped]
        write_text(fresh / SKIPPED, "".join(lines))

    store.save(
        table,
        folder,
        items.entities,
        modality=encoder.modality,
        encoder=_spec(encoder),
        write_more=write_more,
    )
    return encoded, rate


def _assemble(
    items: Items, parts: Sequence[Encoded], name: str, fingerprint: str
) -> tuple[FeatureTable, list[Skipped]]:
    """Join the parts, which stand in the order of the entities."""
    rows, skipped = [], []
    for number, part in enumerate(parts):
        rows.append(part.owner + number * PART)
        skipped += [(place + number * PART, reason) for place, reason in part.skipped]
    item_of_row = np.concatenate(rows)
    inner = [key for part in parts for key in part.keys]
    keys = [
        f"{items.keys[item]}#{key}" if key else items.keys[item] for item, key in zip(item_of_row, inner, strict=True)
    ]
    counts = np.bincount(items.owner[item_of_row], minlength=len(items.entities))
    values = np.concatenate([part.values for part in parts])
    table = FeatureTable(name, values, offsets_of(counts), keys, fingerprint)
    names = items.entities.names
    return table, [Skipped(names[items.owner[item]], items.keys[item], reason) for item, reason in skipped]


def _spec(encoder: Encoder) -> str:
    """Write the encoder with its options as `make_encoder` reads it."""
    options = (f"{key}={str(value).lower()}" for key, value in encoder.options().items())
    return f"{encoder.name}:{','.join(options)}"


def _read_skipped(folder: Path) -> tuple[Skipped, ...]:
    lines = (folder / SKIPPED).read_text(encoding="utf-8").splitlines()
    return tuple(Skipped(*line.split("\t")) for line in lines)


def _notes(items: Items, skipped: Sequence[Skipped], asked: int, width: int) -> tuple[str, ...]:
    """Say what people should know: a smaller width, items without rows."""
    notes = []
    if width < asked:
        notes.append(f"rows have width {width}, not {asked}: {len(items):,} items do not tell more apart")
    if skipped:
        shown = "; ".join(f"{item.key} of {item.entity!r}: {item.reason}" for item in skipped[:3])
        notes.append(f"{len(skipped):,} of {len(items):,} items skipped, listed in {SKIPPED} ({shown})")
    return tuple(notes)

"""The encoding job: items in, a stored and aligned feature table out; cached, and resumable after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictokg.errors import DataError
from pictokg.features import store
from pictokg.features.align import Coverage
from pictokg.features.encoders import spec_of
from pictokg.features.encoders.base import MissingWeightsError
from pictokg.features.parts import FITTING, JOINING, parts_of
from pictokg.features.share import Share
from pictokg.features.work import Skipped, Work
from pictokg.files import write_text

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoder
    from pictokg.features.items import Items
    from pictokg.features.parts import Parts
    from pictokg.features.table import FeatureTable

PART = 512  # items encoded between two writes, of encoders that do not say it themselves
SKIPPED, SHORTENED = "skipped.tsv", "shortened.tsv"


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
    share: Share | None = None,
    workers: int | None = None,
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
        share: of this process, where several were started with the same call; by default what torchrun set.
        workers: processes that read and prepare pictures ahead, 0 for none; by default one a core, at most 8.

    Raises:
        DataError: no item can be read, or the encoder's weights cannot.
    """
    start = time.perf_counter()
    source, missing = items.fingerprint(), ""
    try:
        wanted = f"{source}-{encoder.fingerprint()}"
    except MissingWeightsError as error:
        wanted, missing = _stored_from(folder, source), str(error)
        if not wanted:
            raise
    work = Work(items, encoder, _part_size(encoder), share or Share.from_environment(), workers, progress)
    rate = 0.0 if _is_stored(folder, wanted) else _run(work, folder, wanted)
    table = store.load(folder, items.entities)
    skipped = read_skipped(folder)
    notes = _notes(work, skipped, read_skipped(folder, SHORTENED), table.width)
    if missing:
        notes = (*notes, f"its rows are used as they are, new ones cannot be made: {missing}")
    seconds = time.perf_counter() - start
    return Encoding(
        table, folder, Coverage.of(table, items.unknown), skipped, len(items), work.encoded, seconds, rate, notes
    )


def _part_size(encoder: Encoder) -> int:
    return getattr(encoder, "part", PART)


def _is_stored(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds a sound table with this fingerprint."""
    try:
        return store.read_manifest(folder).fingerprint == fingerprint and store.load(folder) is not None
    except DataError:
        return False


def _stored_from(folder: Path, source: str) -> str:
    """The fingerprint of the stored table where it was made from just these items, by whatever; else nothing."""
    try:
        found = store.read_manifest(folder).fingerprint
    except DataError:
        return ""
    return found if found.startswith(f"{source}-") and _is_stored(folder, found) else ""


def _run(work: Work, folder: Path, fingerprint: str) -> float:
    """Fit, encode part by part, store; return how many items a second, without fitting and storing."""
    shared = work.share.world > 1
    with parts_of(folder, shared=shared) as parts:
        if _is_stored(folder, fingerprint):  # another process was faster
            return 0.0
        with parts.alone(FITTING):
            parts.begin(f"{fingerprint}, {work.size} items a part")
            work.encoder = parts.fitted(work.encoder, work.items.by_name())
        start = time.perf_counter()
        work.fill(parts)
        rate = work.encoded / (time.perf_counter() - start)
        with parts.alone(JOINING):
            if not _is_stored(folder, fingerprint):
                _store(work, parts, folder, fingerprint)
    return rate


def _store(work: Work, parts: Parts, folder: Path, fingerprint: str) -> None:
    """Bring the parts together into the stored table."""
    table, skipped, shortened = work.join(parts, folder.name, fingerprint)

    def write_more(fresh: Path) -> None:
        work.encoder.save(store.encoder_folder(fresh))
        for name, found in ((SKIPPED, skipped), (SHORTENED, shortened)):
            lines = [f"{item.entity}\t{item.key}\t{item.reason}\n" for item in found]
            write_text(fresh / name, "".join(lines))

    store.save(
        table,
        folder,
        work.items.entities,
        modality=work.encoder.modality,
        encoder=spec_of(work.encoder),
        write_more=write_more,
    )


def read_skipped(folder: Path, name: str = SKIPPED) -> tuple[Skipped, ...]:
    """Read which items of a stored table gave no row (or with SHORTENED, were read in part only)."""
    path = folder / name
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return tuple(Skipped(*line.split("\t")) for line in lines)


def _notes(work: Work, skipped: Sequence[Skipped], shortened: Sequence[Skipped], width: int) -> tuple[str, ...]:
    """Say what people should know: a smaller width, items without rows, items read in part."""
    notes, total = [], len(work.items)
    asked = work.encoder.options().get("width", width)
    if width < asked:
        notes.append(f"rows have width {width}, not {asked}: {total:,} items do not tell more apart")
    for found, what, name in ((skipped, "skipped", SKIPPED), (shortened, "read in part", SHORTENED)):
        if found:
            shown = "; ".join(f"{item.key} of {item.entity!r}: {item.reason}" for item in found[:3])
            notes.append(f"{len(found):,} of {total:,} items {what}, listed in {name} ({shown})")
    return tuple(notes)

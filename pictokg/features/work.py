"""The work of an encoding: parts encoded by one process or by several, then brought together into a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pictokg.errors import DataError
from pictokg.features.ahead import ReadAhead, default_workers
from pictokg.features.encoders.base import ReadsAhead, joined
from pictokg.features.table import FeatureTable, offsets_of

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoded, Encoder, Item, Reader, Ready
    from pictokg.features.items import Items
    from pictokg.features.parts import Parts
    from pictokg.features.share import Share

FEW = 64  # items for which no process is started
WAIT = 0.1  # seconds between two looks at what other processes have done


@dataclass(frozen=True)
class Skipped:
    """An item that gave no row, or of which only a part was read, and why."""

    entity: str
    key: str
    reason: str


@dataclass
class Work:
    """Items, cut into parts of `size`, and the encoder for them.

    Attributes:
        share: which parts are this process's; it helps with the others'.
        workers: processes that read ahead; None for as many as there are cores.
        progress: called with the items that are done, by whomever, and the items in all.
        encoded: items encoded by this process.
    """

    items: Items
    encoder: Encoder
    size: int
    share: Share
    workers: int | None
    progress: Callable[[int, int], None] | None
    encoded: int = 0
    _finished: int = 0
    _sound: set[int] = field(default_factory=set)

    def fill(self, parts: Parts) -> None:
        """Encode every part that is not there; return when all are there, also those of other processes."""
        pending = self.share.order(range(1, self._count + 1))
        while pending:
            with ExitStack() as stack:
                pending = self._pass(parts, pending, stack)
            if pending:
                time.sleep(WAIT)

    def _pass(self, parts: Parts, pending: Sequence[int], stack: ExitStack) -> list[int]:
        """Encode the parts that can be had; return those that other processes are at."""
        claims: dict[int, BinaryIO] = {}
        left: list[int] = []
        claimed = self._claimed(parts, pending, (claims, left), stack)
        for number, part in self._encode(claimed, stack):
            parts.write(number, part)
            self.encoded += len(self._of(number))
            self._done(number)
            claims.pop(number).close()
        return left

    def _claimed(
        self, parts: Parts, pending: Sequence[int], found: tuple[dict[int, BinaryIO], list[int]], stack: ExitStack
    ) -> Iterator[int]:
        """Yield parts that this process has taken on, and note their claims; note those that others have."""
        claims, left = found
        for number in pending:
            if self._is_done(parts, number):
                self._done(number)
            elif (claim := parts.claim(number)) is None:
                left.append(number)
            elif self._is_done(parts, number):  # in the meantime
                claim.close()
                self._done(number)
            else:
                claims[number] = claim
                stack.callback(claim.close)
                yield number

    def _encode(self, claimed: Iterator[int], stack: ExitStack) -> Iterator[tuple[int, Encoded]]:
        """Yield encoded parts; pictures are read ahead across their borders."""
        encoder, first = self.encoder, next(claimed, None)
        if first is None:  # then the weights need not be loaded
            return
        numbers = chain([first], claimed)
        reader = encoder.reader() if isinstance(encoder, ReadsAhead) else None
        if reader is None or not isinstance(encoder, ReadsAhead):
            for number in numbers:
                yield number, encoder.encode(self._of(number))
            return
        done: list[Encoded] = []
        for (number, last), ready in self._ready(reader, self._batches(numbers, encoder.batch), stack):
            done.append(encoder.encode_ready(ready))
            if last:
                yield number, joined(done, [place * encoder.batch for place in range(len(done))])
                done = []

    def _batches(self, numbers: Iterator[int], size: int) -> Iterator[tuple[tuple[int, bool], Sequence[Item]]]:
        """Cut parts into batches: ((number of the part, whether it is its last batch), items)."""
        for number in numbers:
            items = self._of(number)
            for start in range(0, len(items), size):
                yield (number, start + size >= len(items)), items[start : start + size]

    def _ready(
        self, reader: Reader, batches: Iterator[tuple[tuple[int, bool], Sequence[Item]]], stack: ExitStack
    ) -> Iterator[tuple[tuple[int, bool], Ready]]:
        workers = default_workers() if self.workers is None else self.workers
        ahead = stack.enter_context(ReadAhead(reader, workers if len(self.items) > FEW else 0))
        return ahead.map(batches)

    def _is_done(self, parts: Parts, number: int) -> bool:
        if number not in self._sound and parts.is_there(number) and parts.read(number) is not None:
            self._sound.add(number)
        return number in self._sound

    def _done(self, number: int) -> None:
        self._sound.add(number)
        self._finished += len(self._of(number))
        if self.progress is not None:
            self.progress(self._finished, len(self.items))

    def _of(self, number: int) -> Sequence[Item]:
        """The items of a part; numbers start at 1."""
        return self.items.values[(number - 1) * self.size : number * self.size]

    @property
    def _count(self) -> int:
        return -(-len(self.items) // self.size)

    def join(self, parts: Parts, name: str, fingerprint: str) -> tuple[FeatureTable, list[Skipped], list[Skipped]]:
        """Bring the parts together, which stand in the order of the entities; rows go to disk part by part.

        Returns:
            the table, the items that gave no row, and those of which only a part was read.

        Raises:
            DataError: no item gave a row.
        """
        owner, keys, skipped, shortened = [], [], [], []
        for number in range(1, self._count + 1):
            part, before = _sound(parts, number), (number - 1) * self.size
            places = part.owner + before
            owner.append(places)
            keys += [
                f"{self.items.keys[item]}#{key}" if key else self.items.keys[item]
                for item, key in zip(places, part.keys, strict=True)
            ]
            skipped += [self._named(place + before, why) for place, why in part.skipped]
            shortened += [self._named(place + before, how) for place, how in part.shortened]
        of_row = np.concatenate(owner)
        if not len(of_row):
            raise DataError(
                f"none of {len(self.items):,} items can be encoded; the first: {skipped[0].key} of"
                f" {skipped[0].entity!r}: {skipped[0].reason}",
                remedy="mend them or choose another encoder",
            )
        counts = np.bincount(self.items.owner[of_row], minlength=len(self.items.entities))
        values = self._gathered(parts, len(of_row))
        return FeatureTable(name, values, offsets_of(counts), keys, fingerprint), skipped, shortened

    def _gathered(self, parts: Parts, rows: int) -> np.ndarray:
        """The rows of all parts in one file, mapped into memory."""
        values, start = None, 0
        for number in range(1, self._count + 1):
            part = _sound(parts, number).values
            if values is None:
                shape = (rows, part.shape[1])
                values = np.lib.format.open_memmap(parts.values_file(), "w+", np.float32, shape)
            values[start : start + len(part)] = part
            start += len(part)
        assert values is not None, "there are items"
        values.flush()
        return values

    def _named(self, place: int, reason: str) -> Skipped:
        return Skipped(
            self.items.entities.name(self.items.owner[place]), self.items.keys[place], " ".join(reason.split())
        )


def _sound(parts: Parts, number: int) -> Encoded:
    part = parts.read(number)
    if part is None:
        raise DataError(f"part {number} has been damaged since it was written", file=parts.folder, remedy="start again")
    return part

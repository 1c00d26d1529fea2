"""Numbers of entities as features: each attribute on a scale of its own, fitted on the values that there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features import store
from pictokg.features.encoders.base import digest, load_state, save_state
from pictokg.features.parts import parts_of
from pictokg.features.table import FeatureTable, offsets_of

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float

    from pictokg.graph.vocabulary import Vocabulary

NUMERIC = "numeric"  # the modality
KNOTS = 1_024  # points of an attribute's scale that are kept


class Ranks:
    """A value becomes its rank among the values of its attribute, and the rank `width` waves:

        F(v) = (#{values < v} + ½ #{values = v}) / #values        x_k = √2 cos(k π (1 − F(v))),  k = 1 … width

    Ranks make dates, populations and heights alike, however skewed, and no outlier counts more than any other value.
    Over the ranks each wave has mean 0 and deviation 1, and waves do not correlate; the first grows with the value, the
    others let a linear layer tell middling values from extreme ones. Between values that were seen F is interpolated,
    beyond them it stays.

    Args:
        width: waves of a value.

    >>> ranks = Ranks(width=1)
    >>> ranks.fit(["born"] * 3, np.array([1900.0, 1950.0, 1e9]))
    >>> ranks.rank("born", np.array([1900.0, 1925.0, 1950.0, 2e9])).round(3).tolist()
    [0.167, 0.333, 0.5, 0.833]
    """

    name = "ranks"
    modality = NUMERIC

    def __init__(self, width: int = 4) -> None:
        if width < 1:
            raise ConfigError(f"ranks.width is at least 1; got {width}")
        self.width = width
        self._knots: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def attributes(self) -> list[str]:
        """Those that it was fitted on."""
        return list(self._knots)

    @property
    def spec(self) -> str:
        """How to ask for it again."""
        return f"{self.name}:width={self.width}"

    def fit(self, attributes: Sequence[str], values: Float[np.ndarray, " values"]) -> None:
        """Learn the scale of each attribute from its values."""
        found = np.array(attributes, dtype=object)
        for attribute in sorted(set(attributes)):
            distinct, counts = np.unique(values[found == attribute], return_counts=True)
            below = np.cumsum(counts) - counts
            ranks = (below + counts / 2) / counts.sum()
            kept = np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), KNOTS)).round().astype(np.int64))
            self._knots[attribute] = distinct[kept], ranks[kept]

    def rank(self, attribute: str, values: Float[np.ndarray, " values"]) -> Float[np.ndarray, " values"]:
        """F of each value, in (0, 1)."""
        return np.interp(values, *self._knots[attribute])

    def encode(
        self, attributes: Sequence[str], values: Float[np.ndarray, " values"]
    ) -> Float[np.ndarray, "values width"]:
        """Encode values of attributes that it was fitted on; KeyError for another."""
        found, ranks = np.array(attributes, dtype=object), np.zeros(len(values))
        for attribute in sorted(set(attributes)):
            of_it = found == attribute
            ranks[of_it] = self.rank(attribute, values[of_it])
        return (np.sqrt(2) * np.cos(np.pi * np.outer(1 - ranks, np.arange(1, self.width + 1)))).astype(np.float32)

    def fingerprint(self) -> str:
        """Digest what was fitted."""
        return digest({"name": self.name, "width": self.width, "attributes": self.attributes}, self._state())

    def save(self, folder: Path) -> None:
        """Write encoder.json and state.safetensors."""
        save_state(folder, {"name": self.name, "width": self.width, "attributes": self.attributes}, self._state())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; it encodes as the saved one did."""
        settings, state = load_state(folder)
        if settings.get("name") != cls.name:
            raise DataError(f"is an encoder {settings.get('name')!r}, not {cls.name!r}", file=folder)
        ranks = cls(settings["width"])
        ends = np.cumsum(state["lengths"])[:-1]
        knots = zip(np.split(state["values"], ends), np.split(state["ranks"], ends), strict=True)
        ranks._knots = dict(zip(settings["attributes"], knots, strict=True))
        return ranks

    def _state(self) -> dict[str, np.ndarray]:
        knots = list(self._knots.values())
        lengths = np.array([len(values) for values, _ in knots], dtype=np.int64)
        values, ranks = (np.concatenate([knot[part] for knot in knots] or [np.zeros(0)]) for part in (0, 1))
        return {"lengths": lengths, "values": values, "ranks": ranks}


def make_ranks(spec: str) -> Ranks:
    """Make what encodes numbers, from "ranks" or "ranks:width=8"; ConfigError for anything else.

    >>> make_ranks("ranks:width=8").width
    8
    """
    name, _, option = spec.partition(":")
    key, _, value = option.partition("=")
    if name != Ranks.name or (option and not (key == "width" and value.isdecimal())):
        raise ConfigError(f"features.numeric: no table and no encoder {spec!r}; numbers are encoded by 'ranks:width=4'")
    return Ranks(int(value)) if option else Ranks()


def tabulate(numeric: pl.DataFrame, entities: Vocabulary, ranks: Ranks, name: str) -> FeatureTable:
    """Make the table of the numbers of a folder: a row a value, its key the attribute; fits `ranks` first.

    Args:
        numeric: columns entity, attribute, value; all entities are in the graph.
        entities: of the graph.
        ranks: to be fitted.
        name: of the table.
    """
    # In an order of their own, so that equal facts give equal tables in whatever order they are listed.
    ordered = numeric.select("entity", "attribute", "value").sort("attribute", "value", "entity")
    owner = entities.ids(ordered["entity"].to_list())
    order = np.argsort(owner, kind="stable")
    attributes = ordered["attribute"].to_list()
    values = ordered["value"].to_numpy()
    ranks.fit(attributes, values)
    rows = ranks.encode(attributes, values)
    keys = [attributes[row] for row in order.tolist()]
    offsets = offsets_of(np.bincount(owner, minlength=len(entities)))
    return FeatureTable(name, rows[order], offsets, keys, fingerprint_of(numeric, ranks.spec), by_attribute=True)


def encode_numbers(numeric: pl.DataFrame, entities: Vocabulary, features: Path, spec: str) -> FeatureTable:
    """Make the table of the numbers of a folder and store it with what was fitted; read it, where nothing has changed.

    Args:
        numeric, entities: as for `tabulate`.
        features: the folder of the feature tables; the table's folder in it is `table_folder`.
        spec: as "ranks:width=8".
    """
    ranks = make_ranks(spec)
    folder = table_folder(features, spec)
    wanted = fingerprint_of(numeric, ranks.spec)
    with parts_of(folder):  # one process at a time
        if not _is_stored(folder, wanted):
            table = tabulate(numeric, entities, ranks, folder.name)
            store.save(
                table,
                folder,
                entities,
                modality=NUMERIC,
                encoder=ranks.spec,
                write_more=lambda fresh: ranks.save(store.encoder_folder(fresh)),
            )
    return store.load(folder, entities)


def table_folder(features: Path, spec: str) -> Path:
    """Where the table of an encoder of numbers is stored.

    >>> table_folder(Path("features"), "ranks:width=8").name
    'numeric-ranks-width8'
    """
    width, usual = make_ranks(spec).width, Ranks().width
    return features / (f"{NUMERIC}-{Ranks.name}" + (f"-width{width}" if width != usual else ""))


def _is_stored(folder: Path, fingerprint: str) -> bool:
    try:
        return store.read_manifest(folder).fingerprint == fingerprint and store.load(folder) is not None
    except DataError:
        return False


def fingerprint_of(numeric: pl.DataFrame, spec: str) -> str:
    """Digest the numbers of a folder and how they are encoded: equal digests, equal rows."""
    lines: list[Any] = sorted(numeric.select("entity", "attribute", "value").rows())
    return digest({"numbers": lines, "encoder": spec})

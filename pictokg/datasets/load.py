"""From a folder to a data set: triples, words, pictures, and a feature table for every modality that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.datasets.dataset import Dataset, words_of
from pictokg.errors import ConfigError, nearest
from pictokg.features import store
from pictokg.features.align import Coverage
from pictokg.features.numbers import NUMERIC, encode_numbers, table_folder
from pictokg.features.place import features_folder

if TYPE_CHECKING:
    from pictokg.features.table import FeatureTable
    from pictokg.graph.read.folder import RawFolder

ENCODERS = {"image": "pixels", "text": "tfidf", NUMERIC: "ranks:width=4"}  # what encodes them where nobody chose
SPLIT_SEED = 0

Say = Callable[[str], None]
Wanted = Sequence[str] | Callable[[Mapping[str, list[str]]], list[str]] | None


def load(
    source: str | Path,
    *,
    features: Mapping[str, str] | None = None,
    modalities: Wanted = None,
    say: Say | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Dataset:
    """Load a data set with its feature tables, encoding pictures and words that have none.

    Args:
        source: a data folder, or "glyphs", the embedded data set.
        features: modality → the name of a table in the folder's features/, or of an encoder. Where a modality is not
            named, its first table by name is taken, else pictures are encoded with `pixels` and words with `tfidf`.
        modalities: which to load; all that the folder has by default, none for []. A function is given
            {modality: tables there are} and chooses.
        say: told what was chosen or encoded.
        progress: called with a modality, its items done and its items in all, while encoding.

    Raises:
        DataError: something in the folder is not as it should be. ConfigError: a table or encoder that is not there.
    """
    from pictokg.graph.read.folder import read_folder

    say = say or (lambda line: None)
    folder = locate(source)
    raw = read_folder(folder)
    if raw.needs_splitting:
        say(f"{folder} has no splits; splitting its triples 80/10/10 with seed {SPLIT_SEED} (see: pictokg split)")
        raw = raw.with_splits(seed=SPLIT_SEED)
    chosen = dict(features or {})
    tables = Tables(raw, chosen, say, progress)
    available = tables.available()
    wanted = modalities(available) if callable(modalities) else available if modalities is None else modalities
    return Dataset(
        name=str(source) if source == "glyphs" else folder.resolve().name,
        graph=raw.graph,
        tables={modality: tables.load(modality) for modality in wanted},
        features={modality: tables.choice(modality) for modality in wanted},
        encoders={modality: fitted for modality in wanted if (fitted := tables.fitted(modality))},
        labels=raw.labels,
        descriptions=raw.descriptions,
        relation_labels=raw.relation_labels,
        pictures=raw.pictures,
        negatives=raw.negatives,
        relation_groups=raw.relation_groups,
        folder=folder,
        notes=tuple(raw.notes),
    )


@dataclass(frozen=True)
class Tables:
    """The feature tables of a data folder: those it has, and those an encoder can make."""

    raw: RawFolder
    chosen: Mapping[str, str]
    say: Say
    progress: Callable[[str, int, int], None] | None = None

    def available(self) -> dict[str, list[str]]:
        """Modality → names of its tables, empty where an encoder would have to make one.

        What came with the folder stands before what encoders made of it, which depends on what was tried before.
        """
        found: dict[str, list[str]] = {}
        if self.raw.pictures:
            found["image"] = []
        if self.raw.labels or self.raw.descriptions:
            found["text"] = []
        if self.raw.numeric is not None and len(self.raw.numeric):
            found[NUMERIC] = []
        for modality in self.chosen:
            found.setdefault(modality, [])
        made = {name for name, manifest in self._stored().items() if manifest.encoder}
        for name, modality in sorted(self._names().items(), key=lambda table: (table[0] in made, table[0])):
            found.setdefault(modality, []).append(name)
        return found

    def choice(self, modality: str) -> str:
        """What a modality's rows come from: what was asked for, else its first table, else the usual encoder.

        A table that an encoder made is named by the encoder, so that it is made again when the pictures change.
        """
        there = self.available().get(modality, [])
        name = self.chosen.get(modality) or (there[0] if there else ENCODERS.get(modality))
        if name is None:
            raise ConfigError(f"nothing encodes {modality!r}; put a table features/{modality}_NAME.npz into the folder")
        stored = self._stored().get(name)
        return stored.encoder if stored and stored.encoder else name

    def load(self, modality: str) -> FeatureTable:
        """The table that was chosen, read or (where an encoder makes it and it is not there yet) encoded."""
        there, choice = self.available().get(modality, []), self.choice(modality)
        if len(there) > 1 and modality not in self.chosen:
            self.say(f"{modality}: taking {there[0]} of {', '.join(there)}; choose with --set features.{modality}=NAME")
        if choice in there:
            return self._read(choice)
        return self._measure(choice) if modality == NUMERIC else self._encode(modality, choice)

    def fitted(self, modality: str) -> Path | None:
        """The folder of what the encoder of a modality's table fitted; None where the table came from elsewhere."""
        from pictokg.features.encoders import make_encoder, names, table_name

        choice = self.choice(modality)
        if modality == NUMERIC and choice not in self._names():
            return store.encoder_folder(table_folder(features_folder(self.raw.path), choice))
        if choice.partition(":")[0] not in names():
            return None
        return store.encoder_folder(features_folder(self.raw.path) / table_name(make_encoder(choice, modality)))

    def _names(self) -> dict[str, str]:
        """Table → modality, of stored tables and of .npz files named MODALITY_ANYTHING."""
        files = {
            path.stem: path.stem.split("_")[0].split("-")[0] for path in (self.raw.path / "features").glob("*.npz")
        }
        return files | {name: manifest.modality for name, manifest in self._stored().items()}

    def _stored(self) -> dict[str, store.Manifest]:
        return store.stored_tables(self.raw.path / "features") | store.stored_tables(features_folder(self.raw.path))

    def _read(self, name: str) -> FeatureTable:
        for root in (self.raw.path / "features", features_folder(self.raw.path)):
            if (root / name / "manifest.toml").is_file():
                return store.load(root / name, self.raw.graph.entities)
        from pictokg.features.readers import read_features

        table, coverage = read_features(self.raw.path / "features" / f"{name}.npz", self.raw.graph.entities)
        self.say(str(coverage))
        return table

    def _measure(self, spec: str) -> FeatureTable:
        """The table of the numbers in numeric.tsv."""
        numeric = self.raw.numeric
        if numeric is None or not len(numeric):
            raise ConfigError(
                f"{self.raw.path} has no numbers of its entities, which the model reads; add numeric.tsv to the folder,"
                " or choose modalities that do without"
            )
        table = encode_numbers(numeric, self.raw.graph.entities, features_folder(self.raw.path), spec)
        self.say(f"{Coverage.of(table)} of {len(set(table.keys)):,} attributes")
        return table

    def _encode(self, modality: str, spec: str) -> FeatureTable:
        from pictokg.features.encode import encode
        from pictokg.features.encoders import make_encoder, names, table_name
        from pictokg.features.items import Items

        if spec.partition(":")[0] not in names():
            there = [*self.available()[modality], *names()]
            raise ConfigError(f"features.{modality}: no table and no encoder {spec!r}; {nearest(spec, there)}")
        encoder = make_encoder(spec, modality)
        entities = self.raw.graph.entities
        if modality == "image":
            items = Items.of_pictures(self.raw.pictures, entities, self.raw.path)
        else:
            words = {name: words_of(name, self.raw.labels, self.raw.descriptions) for name in entities.names}
            items = Items.of_texts(words, entities)
        if not len(items):
            place, what = ("images/", "pictures") if modality == "image" else ("text.tsv", "words")
            raise ConfigError(
                f"{self.raw.path} has no {what} of its entities, which the model reads; add {place} to the folder,"
                " or choose a model or modalities that do without"
            )
        folder = features_folder(self.raw.path) / table_name(encoder)
        made = encode(items, encoder, folder, progress=partial(self.progress, modality) if self.progress else None)
        how = "read from" if made.cached else f"encoded at {made.rate:,.0f}/s into"
        self.say(f"{made.coverage}; {how} {folder}")
        for note in made.notes:
            self.say(f"note: {modality}: {note}")
        return made.table


def locate(source: str | Path) -> Path:
    """The folder of a data set: a path, or "glyphs", which is generated where it is not cached yet."""
    if source != "glyphs" or Path(source).is_dir():
        return Path(source)
    from pictokg.datasets.glyphs import cached

    return cached()

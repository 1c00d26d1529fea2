"""Write the glyphs graph as an ordinary data folder."""

from __future__ import annotations

import glob
import hashlib
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pictokg.datasets.glyphs.facts import Facts, collect
from pictokg.datasets.glyphs.pictures import Face, draw_all, load_faces, png
from pictokg.datasets.glyphs.properties import entity
from pictokg.errors import PictoKGError
from pictokg.files import is_disk_error
from pictokg.graph.splitting import split

FORMAT = 2  # to be raised when the same Unicode data and fonts give other bytes
SPLITS = {"train": 0.8, "valid": 0.1, "test": 0.1}
ABANDONED = 600  # seconds after which an unfinished draft is one whose writer was killed
README = """# Glyphs

The characters of the Unicode standard as a knowledge graph with pictures and words, written by PictoKG.
All tables are UTF-8, tab-separated, without header and without quoting.

| file | columns |
| --- | --- |
| train.tsv, valid.tsv, test.tsv | head, relation, tail |
| entities.tsv, relations.tsv | index, name |
| text.tsv | entity, label, description |
| relation_text.tsv | relation, label |
| images.tsv | entity, path; several lines an entity; value entities have none |
| relation_groups.tsv | group, relation; `name_derived`: facts that the labels state too |
| relation_sources.tsv | relation, source |
| manifest.toml | versions, counts and checksums |
"""


def generate(
    folder: Path,
    *,
    seed: int = 0,
    characters: Iterable[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the graph of all characters that the DejaVu fonts draw, or of some of them, to a new folder.

    The same seed, fonts, Unicode data and FreeType give the same bytes. The folder appears at once, complete.

    Args:
        folder: does not exist, or is empty.
        seed: of the split.
        characters: only these, where the fonts have them.
        progress: called with the number of characters drawn and their total.

    Raises:
        PictoKGError: the folder holds something, the fonts have none of the characters, or the disk refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PictoKGError(f"{folder} already holds something; give a folder that is empty or does not exist")
    faces = load_faces()
    drawable = frozenset().union(*(face.characters for face in faces))
    wanted = sorted(drawable if characters is None else drawable.intersection(characters))
    if not wanted:
        raise PictoKGError("the DejaVu fonts have none of these characters; leave `characters` out to take all")
    facts = collect(wanted)
    with _draft(folder) as draft:
        rows = _write_tables(draft, facts, seed)
        pictures = _write_pictures(draft, wanted, faces, progress)
        _write_manifest(draft, facts, seed, faces[0].version, {**rows, **pictures})


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Give a hidden folder beside `folder`, which takes its place when all has gone well and else goes."""
    folder = folder.absolute()
    prefix = f".{folder.name}.unfinished-"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for old in folder.parent.glob(f"{glob.escape(prefix)}*"):
            if time.time() - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    except OSError as error:
        raise PictoKGError(f"cannot write {folder}: {error}; choose another folder") from error
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp makes it private
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, Exception) and is_disk_error(error):
            raise PictoKGError(f"cannot write {folder}: {error}; free some space or choose another") from error
        raise


def _write_table(path: Path, rows: Iterable[Sequence[object]]) -> bytes:
    """Write rows as tab-separated lines; return the bytes."""
    content = "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()
    path.write_bytes(content)
    return content


def _write_tables(draft: Path, facts: Facts, seed: int) -> dict[str, object]:
    """Write everything but pictures; return the sizes of the splits and the checksum over their lines."""
    entities, relations = facts.entities, facts.relations
    fractions, pairs = tuple(SPLITS.values()), facts.pairs
    parts = split(facts.triples, fractions, seed=seed, per_relation=True, keep_together=pairs)
    checksum, sizes = hashlib.sha256(), {}
    for name, part in zip(SPLITS, parts, strict=True):
        rows = part.tolist()
        lines = ((entities[head], relations[relation].name, entities[tail]) for head, relation, tail in rows)
        checksum.update(_write_table(draft / f"{name}.tsv", lines))
        sizes[name] = len(part)
    _write_table(draft / "entities.tsv", enumerate(entities))
    _write_table(draft / "relations.tsv", enumerate(relation.name for relation in relations))
    _write_table(draft / "text.tsv", facts.texts)
    _write_table(draft / "relation_text.tsv", ((relation.name, relation.label) for relation in relations))
    # Only the smaller of the two groups: metrics are given for a group and for what is not in it.
    derived = [(relation.group, relation.name) for relation in relations if relation.group == "name_derived"]
    if derived:
        _write_table(draft / "relation_groups.tsv", derived)
    _write_table(draft / "relation_sources.tsv", ((relation.name, relation.source) for relation in relations))
    (draft / "README.md").write_text(README, encoding="utf-8")
    return {**sizes, "triples_sha256": checksum.hexdigest()}


def _write_pictures(
    draft: Path, characters: Sequence[str], faces: list[Face], progress: Callable[[int, int], None] | None
) -> dict[str, object]:
    """Draw every character in every face; return their number and the checksum over paths and pixels."""
    checksum = hashlib.sha256()
    listed: list[tuple[str, str]] = []
    # One folder for all: a folder per character takes several times as long to write.
    (draft / "images").mkdir()
    for done, character in enumerate(characters, start=1):
        name = entity(character)
        for face, pixels in draw_all(character, faces):
            path = f"images/{name.removeprefix('U+')}-{face}.png"
            (draft / path).write_bytes(png(pixels))
            listed.append((name, path))
            checksum.update(path.encode() + b"\0" + pixels)
        if progress is not None:
            progress(done, len(characters))
    _write_table(draft / "images.tsv", listed)
    return {"pictures": len(listed), "pictures_sha256": checksum.hexdigest()}


def _write_manifest(draft: Path, facts: Facts, seed: int, fonts: str, written: dict[str, object]) -> None:
    import fontTools
    import PIL
    from PIL import features

    versions = {
        "unicode": unicodedata.unidata_version,
        "dejavu": fonts.removeprefix("Version "),
        "fonttools": fontTools.version,
        "pillow": PIL.__version__,
        "freetype": features.version("freetype2"),
    }
    counts = {
        "characters": len(facts.characters),
        "values": len(facts.values),
        "relations": len(facts.relations),
        "triples": len(facts.triples),
        **{name: size for name, size in written.items() if not name.endswith("_sha256")},
    }
    checksums = {name: value for name, value in written.items() if name.endswith("_sha256")}
    lines = ['name = "glyphs"', f"format = {FORMAT}", f"seed = {seed}"]
    sections = {"versions": versions, "counts": counts, "left_out": facts.left_out, "checksums": checksums}
    for title, table in sections.items():
        lines += ["", f"[{title}]"]
        lines += [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in table.items()
        ]
    (draft / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

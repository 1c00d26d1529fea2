from __future__ import annotations

import csv
import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictokg.datasets import glyphs
from pictokg.datasets.glyphs import cache, facts, folder, pictures
from pictokg.datasets.glyphs.relations import RELATIONS
from pictokg.errors import PictoKGError
from pictokg.features.place import cache_folder


def characters(*ranges):
    return [chr(code) for first, last in ranges for code in range(first, last + 1)]


SOME = characters((0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x330), (0x2190, 0x2199), (0x2500, 0x257F), (0x2800, 0x28FF))


def read(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return [tuple(row) for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def digests(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_few_letters_have_no_empty_file(tmp_path):
    glyphs.generate(tmp_path / "few", characters=characters((0x41, 0x7A)))
    assert [path.name for path in (tmp_path / "few").glob("*.tsv") if not path.stat().st_size] == []


@pytest.fixture(scope="module")
def some(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("glyphs") / "some"
    glyphs.generate(out, characters=SOME)
    return out


@pytest.fixture(scope="module")
def faces():
    return pictures.load_faces()


@pytest.fixture(scope="module")
def tails():
    everything = sorted(frozenset().union(*(face.characters for face in pictures.load_faces())))
    graph = facts.collect(everything)
    names = graph.entities
    found: dict[tuple[str, str], list[str]] = {}
    for head, relation, tail in graph.triples.tolist():
        found.setdefault((names[head], graph.relations[relation].name), []).append(names[tail])
    return lambda character, relation: sorted(found.get((f"U+{ord(character):04X}", relation), []))


# The folder as a whole


def test_the_folder_is_an_ordinary_data_folder(some):
    entities = read(some / "entities.tsv")
    names = [name for _, name in entities]
    relations = [name for _, name in read(some / "relations.tsv")]
    assert [int(index) for index, _ in entities] == list(range(len(names)))
    for split in ("train", "valid", "test"):
        for head, relation, tail in read(some / f"{split}.tsv"):
            assert head in names
            assert relation in relations
            assert tail in names
    assert [row[0] for row in read(some / "text.tsv")] == names
    assert all(label for _, label, _ in read(some / "text.tsv"))
    for table in ("relation_text", "relation_sources"):
        assert [row[0] for row in read(some / f"{table}.tsv")] == relations
    assert {relation for _, relation in read(some / "relation_groups.tsv")} < set(relations)
    assert {group for group, _ in read(some / "relation_groups.tsv")} == {"name_derived"}
    shown = {path.relative_to(some).as_posix() for path in (some / "images").rglob("*.png")}
    assert {path for _, path in read(some / "images.tsv")} == shown


def test_the_same_seed_gives_the_same_bytes_and_another_only_another_split(some, tmp_path):
    few = characters((0x41, 0x7A), (0x2800, 0x280F))
    for name, seed in (("first", 0), ("second", 0), ("third", 1)):
        glyphs.generate(tmp_path / name, characters=few, seed=seed)
    first, second, third = (digests(tmp_path / name) for name in ("first", "second", "third"))
    assert first == second
    different = {name for name in first if first[name] != third[name]}
    assert different == {"train.tsv", "valid.tsv", "test.tsv", "manifest.toml"}


def test_nothing_leaks_from_training_into_test(some):
    splits = {name: read(some / f"{name}.tsv") for name in ("train", "valid", "test")}
    triples = [triple for split in splits.values() for triple in split]
    assert len(set(triples)) == len(triples)
    pairs = {name: {frozenset((h, t)) for h, _, t in split} for name, split in splits.items()}
    assert not pairs["train"] & pairs["test"]
    assert not pairs["train"] & pairs["valid"]
    assert not pairs["valid"] & pairs["test"]


def test_training_has_every_entity_and_relation_and_about_eight_tenths(some):
    train = read(some / "train.tsv")
    seen = {name for head, _, tail in train for name in (head, tail)}
    assert seen == {name for _, name in read(some / "entities.tsv")}
    assert {relation for _, relation, _ in train} == {name for _, name in read(some / "relations.tsv")}
    counts = tomllib.loads((some / "manifest.toml").read_text())["counts"]
    assert counts["train"] + counts["valid"] + counts["test"] == counts["triples"]
    assert counts["test"] / counts["triples"] == pytest.approx(0.1, abs=0.02)


def test_the_manifest_tells_versions_counts_and_checksums(some):
    manifest = tomllib.loads((some / "manifest.toml").read_text())
    assert set(manifest["versions"]) == {"unicode", "dejavu", "fonttools", "pillow", "freetype"}
    lines = b"".join((some / f"{name}.tsv").read_bytes() for name in ("train", "valid", "test"))
    assert manifest["checksums"]["triples_sha256"] == hashlib.sha256(lines).hexdigest()
    checksum = hashlib.sha256()
    for _, path in read(some / "images.tsv"):
        with Image.open(some / path) as picture:
            checksum.update(path.encode() + b"\0" + picture.tobytes())
    assert manifest["checksums"]["pictures_sha256"] == checksum.hexdigest()
    assert manifest["left_out"]["tail_outside"] > 0


def test_a_character_is_described_by_no_more_than_itself(some):
    texts = {name: (label, description) for name, label, description in read(some / "text.tsv")}
    assert texts["U+00C1"] == ("LATIN CAPITAL LETTER A WITH ACUTE", "Á")
    assert texts["U+0020"] == ("SPACE", "")
    assert texts["category:Lu"] == ("uppercase letter", "")


def test_values_and_spaces_have_no_picture_and_inked_characters_several(some):
    counts: dict[str, int] = {}
    for name, _ in read(some / "images.tsv"):
        counts[name] = counts.get(name, 0) + 1
    assert not any(":" in name for name in counts)
    assert "U+0020" not in counts
    assert "U+2800" not in counts
    assert counts["U+00C1"] == 12
    assert max(counts.values()) <= 12


def test_progress_is_told_once_a_character(tmp_path):
    heard = []
    glyphs.generate(tmp_path / "out", characters="ABC", progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


# Refusals and interruptions


def test_a_folder_with_something_in_it_is_refused_and_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PictoKGError, match="already holds something"):
        glyphs.generate(tmp_path, characters="AB")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_characters_that_no_font_has_are_refused(tmp_path):
    with pytest.raises(PictoKGError, match="none of these characters"):
        glyphs.generate(tmp_path / "out", characters="漢")


def test_an_interrupted_generation_leaves_nothing(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        glyphs.generate(tmp_path / "out", characters="ABC", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_plainly(tmp_path, monkeypatch):
    def full(pixels):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "png", full)
    with pytest.raises(PictoKGError, match="No space left"):
        glyphs.generate(tmp_path / "out", characters="ABC")
    assert list(tmp_path.iterdir()) == []


def test_the_cache_generates_once_for_each_seed(tmp_path, monkeypatch):
    calls = []

    def few(out, *, seed=0, progress=None):
        calls.append(seed)
        folder.generate(out, seed=seed, characters="ABCabc", progress=progress)

    monkeypatch.setattr(cache, "generate", few)
    monkeypatch.setenv("PICTOKG_CACHE", str(tmp_path / "chosen"))
    first = glyphs.cached()
    assert first.parent == tmp_path / "chosen"
    assert glyphs.cached() == first
    assert glyphs.cached(seed=1) != first
    assert calls == [0, 1]
    assert glyphs.cached(tmp_path / "other").parent == tmp_path / "other"


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("PICTOKG_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pictokg"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "pictokg"


# Facts


@pytest.mark.parametrize(
    ("character", "relation", "expected"),
    [
        ("Á", "base_character", ["U+0041"]),
        ("Á", "combining_mark", ["U+0301"]),
        ("Á", "lowercase", ["U+00E1"]),
        ("á", "uppercase", ["U+00C1"]),
        ("Á", "has_diacritic", ["diacritic:acute"]),
        ("Á", "general_category", ["category:Lu"]),
        ("Á", "script", ["script:Latin"]),
        ("Á", "block", ["block:Latin-1 Supplement"]),
        ("א", "bidi_class", ["bidi:R"]),
        ("ß", "uppercase", []),
        ("(", "mirrored_partner", ["U+0029"]),
        (")", "mirrored_partner", ["U+0028"]),
        ("≤", "mirrored_partner", ["U+2265"]),
        ("²", "compatibility_style", ["form:super"]),
        ("²", "compatibility_character", ["U+0032"]),
        ("ﬁ", "compatibility_part", ["U+0066", "U+0069"]),
        ("Ⅴ", "numeric_value", ["value:5"]),
        ("\u0301", "combining_class", ["combining:230"]),
        ("🀴", "domino_first", ["pips:0"]),
        ("🀴", "domino_second", ["pips:3"]),
        ("🂮", "card_suit", ["suit:spades"]),
        ("🂮", "card_rank", ["rank:king"]),
        ("♠", "card_suit", ["suit:spades"]),
        ("♞", "chess_piece", ["piece:knight"]),
        ("♞", "colour", ["colour:black"]),
        ("◻", "shape", ["shape:square"]),
        ("◐", "colour", []),
        ("↔", "arrow_direction", ["direction:left", "direction:right"]),
        ("↿", "arrow_direction", ["direction:up"]),
        ("↳", "arrow_direction", ["direction:right"]),
        ("↻", "arrow_direction", ["direction:clockwise"]),
        ("╼", "box_stroke", ["stroke:heavy right", "stroke:light left"]),
        ("┼", "box_stroke", [f"stroke:light {way}" for way in ("down", "left", "right", "up")]),
        ("╓", "box_stroke", ["stroke:double down", "stroke:light right"]),
        ("╱", "box_stroke", []),
        ("𝗔", "math_style", ["letters:bold", "letters:sans-serif"]),
    ],
)
def test_known_facts(tails, character, relation, expected):
    assert tails(character, relation) == expected


def test_braille_dots_are_the_bits_of_the_code_point(tails):
    for bits in range(256):
        expected = [f"dot:{dot}" for dot in range(1, 9) if bits >> (dot - 1) & 1]
        assert tails(chr(0x2800 + bits), "has_dot") == expected


def test_every_suit_and_rank_meet_in_one_card(tails):
    cards = characters((0x1F0A1, 0x1F0DE))
    pairs = [(*tails(card, "card_suit"), *tails(card, "card_rank")) for card in cards]
    named = [pair for pair in pairs if pair]
    assert len(named) == len(set(named)) == 4 * 14


def test_a_fact_needs_its_tail_and_company():
    alone = facts.collect(["A", "Á"])  # no mark, no small letters; "acute" is said of one character only
    names = {relation.name for relation in alone.relations}
    assert names == {"general_category", "script", "bidi_class", "base_character"}
    assert alone.left_out == {"tail_outside": 3, "value_used_once": 3}
    assert len(alone.triples) == 2 * 3 + 1


def test_pairs_join_both_ways_round():
    graph = facts.collect(list("Aa()"))
    names = graph.entities
    rows = {
        (names[h], graph.relations[r].name): pair
        for (h, r, _), pair in zip(graph.triples.tolist(), graph.pairs, strict=True)
    }
    assert rows["U+0041", "lowercase"] == rows["U+0061", "uppercase"]
    assert rows["U+0028", "mirrored_partner"] == rows["U+0029", "mirrored_partner"]
    assert len(set(graph.pairs.tolist())) == len(graph.triples) - 2


def test_relations_say_where_they_come_from():
    names = [relation.name for relation in RELATIONS]
    assert len(set(names)) == len(names)
    assert {relation.group for relation in RELATIONS} == {"unicode_data", "name_derived"}
    assert all("Unicode" in relation.source for relation in RELATIONS)


# Pictures


def test_png_holds_the_pixels(tmp_path):
    pixels = bytes(range(256)) * 4
    (tmp_path / "ramp.png").write_bytes(pictures.png(pixels))
    with Image.open(tmp_path / "ramp.png") as picture:
        assert picture.size == (32, 32)
        assert picture.mode == "L"
        assert picture.tobytes() == pixels


def test_no_picture_is_the_box_of_a_missing_glyph(faces):
    for face in faces[:12]:
        missing = face.draw("漢")
        drawn = {face.draw(character) for character in sorted(face.characters)[::5]}
        assert missing not in drawn


def test_braille_pictures_show_their_dots_in_place(faces):
    pixels = [np.frombuffer(faces[0].draw(chr(0x2800 + (1 << dot))), np.uint8).reshape(32, 32) for dot in range(8)]
    places = [np.argwhere(picture < 128).mean(axis=0) for picture in pixels]
    left, right = [places[dot] for dot in (0, 1, 2, 6)], [places[dot] for dot in (3, 4, 5, 7)]
    for one, other in zip(left, right, strict=True):
        assert one[1] + 3 < other[1]
        assert one[0] == pytest.approx(other[0])
    for column in (left, right):
        rows = [row for row, _ in column]
        assert rows == sorted(rows)
        assert len(set(rows)) == 4


def test_size_and_place_are_kept(faces):
    ink = {
        character: np.argwhere(np.frombuffer(faces[0].draw(character), np.uint8).reshape(32, 32) < 128)
        for character in "Oo,'\u0301\u0323"
    }
    assert np.ptp(ink["O"][:, 0]) > np.ptp(ink["o"][:, 0])
    assert ink[","][:, 0].min() > ink["'"][:, 0].max()
    assert ink["\u0301"][:, 0].max() < 16 < ink["\u0323"][:, 0].min()


def test_what_is_too_large_is_made_smaller_not_cut(faces):
    for character in "⟸🂡🀰":
        assert character in faces[0].characters
        ink = np.argwhere(np.frombuffer(faces[0].draw(character), np.uint8).reshape(32, 32) < 128)
        height, width = np.ptp(ink, axis=0) + 1
        assert 24 <= max(height, width) <= 32

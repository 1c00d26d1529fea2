from __future__ import annotations

import numpy as np
import pytest

from pictokg.errors import DataError
from pictokg.features.encoders import load_encoder, make_encoder

TEXTS = [
    "LATIN SMALL LETTER A",
    "LATIN SMALL LETTER B",
    "LATIN SMALL LETTER A WITH ACUTE",
    "GREEK CAPITAL LETTER OMEGA",
    "GREEK SMALL LETTER OMEGA",
    "BRAILLE PATTERN DOTS-1",
    "BRAILLE PATTERN DOTS-12",
    "東京 is the capital of Japan. It has many people! Does it?",
]


@pytest.fixture(scope="module")
def fitted():
    encoder = make_encoder("tfidf:width=6")
    encoder.fit(TEXTS)
    return encoder


def test_rows_equal_the_formula(fitted):
    """The weighting, written out for words and characters with plain loops."""
    from sklearn.feature_extraction.text import CountVectorizer

    sides = []
    for options in (
        {"analyzer": "char_wb", "ngram_range": (2, 5)},
        {"ngram_range": (1, 2), "token_pattern": r"\b\w+\b"},
    ):
        counts = CountVectorizer(**options).fit_transform(TEXTS).toarray()
        weights = np.zeros(counts.shape)
        for row, column in zip(*counts.nonzero(), strict=True):
            holding = (counts[:, column] > 0).sum()
            weights[row, column] = (1 + np.log(counts[row, column])) * (1 + np.log((1 + len(TEXTS)) / (1 + holding)))
        sides.append(weights / np.linalg.norm(weights, axis=1, keepdims=True))
    x = np.concatenate(sides, axis=1)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    expected = u[:, :6] * np.sqrt(s[:6])  # x V Λ^(−1/4)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = fitted.encode(TEXTS).values
    assert np.allclose(found @ found.T, expected @ expected.T, atol=5e-3)  # components are unique up to sign


def test_rows_have_norm_one_and_similar_words_are_near(fitted):
    encoded = fitted.encode(TEXTS)
    assert encoded.values.dtype == np.float32
    assert np.allclose(np.linalg.norm(encoded.values, axis=1), 1, atol=1e-5)
    nearest = (encoded.values @ encoded.values.T - 2 * np.eye(len(TEXTS))).argmax(axis=1)
    assert (nearest[[3, 4, 5, 6]] == [4, 3, 6, 5]).all()


def test_a_loaded_encoder_encodes_exactly_as_the_saved_one(fitted, tmp_path):
    fitted.save(tmp_path)
    again = load_encoder(tmp_path)
    assert (again.width, again.fitted, again.fingerprint()) == (6, True, fitted.fingerprint())
    unseen = ["GREEK SMALL LETTER ALPHA", *TEXTS]
    assert np.array_equal(again.encode(unseen).values, fitted.encode(unseen).values)
    assert np.allclose(again.encode(unseen[:1]).values, fitted.encode(unseen).values[:1], atol=1e-6)
    assert not any(path.suffix in (".pkl", ".pickle", ".joblib") for path in tmp_path.iterdir())


def test_fitting_twice_gives_the_same_bytes(fitted, tmp_path):
    again = make_encoder("tfidf:width=6")
    again.fit(TEXTS)
    for encoder, name in ((fitted, "first"), (again, "second")):
        encoder.save(tmp_path / name)
    for file in ("encoder.json", "terms.json", "state.safetensors"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_the_width_shrinks_to_what_few_texts_tell_apart():
    encoder = make_encoder("tfidf")
    encoder.fit(TEXTS)
    assert encoder.width == len(TEXTS) - 1
    alone = make_encoder("tfidf")
    alone.fit(["one"])
    assert np.abs(alone.encode(["one"]).values).tolist() == [[1.0]]


def test_a_sentence_a_row():
    encoder = make_encoder("tfidf:width=4,sentences=true")
    encoder.fit(TEXTS)
    encoded = encoder.encode([TEXTS[0], TEXTS[-1], "東京は首都。人が多い。\nEnd"])
    assert encoded.keys[:4] == ["sentence 0", "sentence 0", "sentence 1", "sentence 2"]
    assert encoded.owner.tolist()[:4] == [0, 1, 1, 1]
    assert (np.array(encoded.owner[4:]) == 2).all()


def test_texts_without_a_known_part_are_skipped_with_the_reason(fitted):
    encoded = fitted.encode(["", TEXTS[0], "ЖЖЖ", " \n"])
    assert encoded.owner.tolist() == [1]
    assert list(encoded.skipped) == [(0, "empty text"), (2, "no part of the text is known"), (3, "empty text")]
    assert fitted.encode([]).values.shape == (0, 6)


def test_texts_without_words_cannot_be_fitted():
    with pytest.raises(DataError, match="none of 2 texts holds a word"):
        make_encoder("tfidf").fit(["…", ""])

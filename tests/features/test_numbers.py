"""Numbers as features: ranks in closed form, presence by attribute, and a run that encodes them again."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import pictokg
from pictokg.cli.app import app
from pictokg.datasets.load import load
from pictokg.errors import ConfigError, DataError
from pictokg.features import store
from pictokg.features.numbers import KNOTS, Ranks, encode_numbers, fingerprint_of, make_ranks, tabulate
from pictokg.fusion.rows import AttributeRows, PooledRows, rows_of
from pictokg.graph.vocabulary import Vocabulary
from pictokg.run import load_run

# The scale


def test_the_rank_is_the_share_below_and_half_of_those_equal():
    ranks = Ranks()
    values = np.array([5.0, 1.0, 5.0, 5.0, 1e12])
    ranks.fit(["x"] * 5, values)
    assert ranks.rank("x", values).tolist() == [0.5, 0.1, 0.5, 0.5, 0.9]
    assert ranks.rank("x", np.array([3.0, -9.0, 2e12])).tolist() == pytest.approx([0.3, 0.1, 0.9])


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=40, unique=True), st.integers(1, 5))
def test_rows_are_waves_of_the_rank_and_only_the_order_of_values_counts(values, width):
    """x_k = √2 cos(kπ(1 − F)), for distinct values at F = (i + ½)/n: cosines that are orthonormal, while k < n."""
    ordered, count = np.sort(np.array(values)), len(values)
    ranks = Ranks(width)
    ranks.fit(["x"] * count, ordered)
    rows = ranks.encode(["x"] * count, ordered)
    share = (np.arange(count) + 0.5) / count
    for k in range(1, width + 1):
        np.testing.assert_allclose(rows[:, k - 1], np.sqrt(2) * np.cos(k * np.pi * (1 - share)), atol=1e-6)
    assert (np.diff(rows[:, 0]) > 0).all()
    if width < count:
        np.testing.assert_allclose(rows.T @ rows / count, np.eye(width), atol=1e-5)
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-6)


def test_each_attribute_has_a_scale_of_its_own():
    ranks = Ranks(1)
    ranks.fit(["height", "born", "height", "born"], np.array([1.7, 1900, 1.9, 2000]))
    assert ranks.attributes == ["born", "height"]
    low, high = np.sqrt(2) * np.cos(np.pi * np.array([0.75, 0.25]))
    rows = ranks.encode(["born", "height", "born"], np.array([2000, 1.7, 1900]))
    assert rows[:, 0].tolist() == pytest.approx([high, low, low])
    with pytest.raises(KeyError):
        ranks.encode(["weight"], np.array([70.0]))


def test_long_scales_are_thinned_and_stay_near():
    values = np.random.default_rng(0).lognormal(10, 4, 20_000)
    ranks = Ranks()
    ranks.fit(["x"] * len(values), values)
    assert len(ranks._knots["x"][0]) == KNOTS
    exact = (np.argsort(np.argsort(values)) + 0.5) / len(values)
    assert np.abs(ranks.rank("x", values) - exact).max() < 1 / KNOTS


def test_what_was_fitted_is_saved_and_encodes_alike(tmp_path):
    ranks = Ranks(3)
    generator = np.random.default_rng(0)
    attributes = [f"a{number}" for number in generator.integers(5, size=200)]
    ranks.fit(attributes, generator.normal(size=200))
    ranks.save(tmp_path / "encoder")
    again = Ranks.load(tmp_path / "encoder")
    new = generator.normal(size=200)
    assert np.array_equal(again.encode(attributes, new), ranks.encode(attributes, new))
    assert again.fingerprint() == ranks.fingerprint()
    (tmp_path / "encoder" / "encoder.json").write_text(json.dumps({"name": "pixels"}))
    with pytest.raises(DataError, match="is an encoder 'pixels', not 'ranks'"):
        Ranks.load(tmp_path / "encoder")


@pytest.mark.parametrize("spec", ["rank", "ranks:depth=2", "ranks:width=x", "pixels"])
def test_specs_of_other_encoders_are_refused(spec):
    with pytest.raises(ConfigError, match="numbers are encoded by 'ranks:width=4'"):
        make_ranks(spec)


def test_no_wave_at_all_is_refused():
    with pytest.raises(ConfigError, match="width is at least 1"):
        make_ranks("ranks:width=0")


# The table

ENTITIES = Vocabulary(["Ada", "Bob", "Cy", "Di"])
NUMBERS = pl.DataFrame(
    {
        "entity": ["Cy", "Ada", "Ada", "Cy", "Ada"],
        "attribute": ["born", "born", "height", "born", "height"],
        "value": [1990.0, 1815.0, 1.6, 1992.0, 1.8],
    }
)


def test_a_row_is_a_value_and_its_key_the_attribute(tmp_path):
    ranks = Ranks()
    table = tabulate(NUMBERS, ENTITIES, ranks, "numeric-ranks")
    assert table.counts.tolist() == [3, 0, 2, 0]
    assert table.keys == ["born", "height", "height", "born", "born"]
    expected = ranks.encode(table.keys, np.array([1815.0, 1.6, 1.8, 1990.0, 1992.0]))
    assert np.array_equal(table.values, expected)
    store.save(table, tmp_path / "numeric-ranks", ENTITIES, modality="numeric")
    assert store.load(tmp_path / "numeric-ranks").by_attribute
    assert store.load(tmp_path / "numeric-ranks", Vocabulary(["Cy", "Eve"])).by_attribute


def test_the_order_of_lines_does_not_matter():
    shuffled = NUMBERS.sample(fraction=1.0, shuffle=True, seed=3)
    first, second = (tabulate(frame, ENTITIES, Ranks(), "n") for frame in (NUMBERS, shuffled))
    assert np.array_equal(first.values, second.values)
    assert (first.fingerprint, first.keys) == (second.fingerprint, second.keys)
    assert fingerprint_of(NUMBERS.with_columns(value=pl.col("value") + 1), "ranks:width=4") != first.fingerprint


def test_a_stored_table_is_read_again_until_a_number_changes(tmp_path, monkeypatch):
    made = encode_numbers(NUMBERS, ENTITIES, tmp_path, "ranks")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["numeric-ranks"]
    with monkeypatch.context() as patched:
        patched.setattr(Ranks, "fit", lambda *arguments: pytest.fail("encoded again"))
        assert np.array_equal(encode_numbers(NUMBERS, ENTITIES, tmp_path, "ranks").values, made.values)
    changed = NUMBERS.with_columns(value=pl.Series([1990.0, 2015.0, 1.6, 1992.0, 1.8]))
    assert not np.array_equal(encode_numbers(changed, ENTITIES, tmp_path, "ranks").values, made.values)
    assert encode_numbers(NUMBERS, ENTITIES, tmp_path, "ranks:width=2").name == "numeric-ranks-width2"


# In the model


def test_every_attribute_has_a_place_and_what_is_unknown_adds_nothing():
    ranks = Ranks(2)
    rows = AttributeRows(tabulate(NUMBERS, ENTITIES, ranks, "n"))
    assert (rows.attributes, rows.width) == (["born", "height"], 2 * 3)
    laid, count = rows(torch.arange(4))
    assert count.tolist() == [3, 0, 2, 0]
    plain = (laid / rows.scale).numpy().reshape(4, 2, 3)
    assert plain[:, :, 0].tolist() == pytest.approx(np.array([[1, 1], [0, 0], [1, 0], [0, 0]]))
    np.testing.assert_allclose(plain[0, 0, 1:], ranks.encode(["born"], np.array([1815.0]))[0], atol=1e-6)
    heights = ranks.encode(["height"] * 2, np.array([1.6, 1.8])).mean(axis=0)  # two values of one attribute
    np.testing.assert_allclose(plain[0, 1, 1:], heights, atol=1e-6)
    assert not plain[2, 1].any()
    assert np.square(laid.numpy()[[0, 2]]).mean() == pytest.approx(1, abs=1e-5)
    assert set(rows.state_dict()) == {"scale"}


def test_tables_choose_how_they_are_laid_out(data):
    assert isinstance(rows_of(data.tables["image"]), PooledRows)
    assert isinstance(rows_of(tabulate(NUMBERS, ENTITIES, Ranks(), "n")), AttributeRows)


def test_a_table_without_any_number_is_no_error():
    empty = NUMBERS.clear()
    rows = AttributeRows(tabulate(empty, ENTITIES, Ranks(), "n"))
    laid, count = rows(torch.arange(4))
    assert not laid.any()
    assert not count.any()


@pytest.fixture
def folder(tmp_path):
    """Cities whose latitude says which is north of which; one city has no numbers."""
    root = tmp_path / "cities"
    root.mkdir()
    names = [f"city{number}" for number in range(12)]
    facts = [(a, "north_of", b) for a in range(12) for b in range(12) if a > b]
    facts = [(names[a], relation, names[b]) for a, relation, b in facts]
    for split, part in (("train", facts[2:-2]), ("valid", facts[:2]), ("test", facts[-2:])):
        (root / f"{split}.tsv").write_text("".join("\t".join(fact) + "\n" for fact in part))
    lines = [f"{name}\tlatitude\t{number * 7 - 30}\n" for number, name in enumerate(names[:-1])]
    lines += [f"{name}\tpopulation\t{10**number}\txsd:integer\n" for number, name in enumerate(names[:4])]
    (root / "numeric.tsv").write_text("".join(lines))
    return root


def test_a_run_learns_from_numbers_remembers_its_scale_and_comes_back(folder, tmp_path):
    command = ["train", str(folder), "--out", str(tmp_path / "run"), "--set", "modalities=structure,numeric"]
    result = CliRunner().invoke(app, [*command, "--set", "dim=4", "--set", "epochs=2"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "15 rows of 2 attributes" in result.stderr
    run = load_run(tmp_path / "run")
    assert run.data.features == {"numeric": "ranks:width=4"}
    assert isinstance(run.model.encoder.tables["numeric"], AttributeRows)
    saved = Ranks.load(tmp_path / "run" / "features" / "numeric")  # for an entity never seen
    assert saved.attributes == ["latitude", "population"]
    assert saved.rank("latitude", np.array([-31.0, 5.0, 1e9])).tolist() == pytest.approx(
        [0.5 / 11, 5.5 / 11, 10.5 / 11]
    )
    (folder / "numeric.tsv").write_text("city1\tlatitude\t1\ncity2\tlatitude\t0\n")
    with pytest.raises(DataError, match="no longer those the run was trained on"):
        load_run(tmp_path / "run")


def test_numbers_alone_place_an_entity(folder):
    data = load(folder)
    model = pictokg.build("gated", data, dim=4, modalities=["numeric"])
    vectors = model.encoder.eval().encode_static(torch.arange(data.graph.num_entities))
    unmeasured = data.graph.entities.id("city11")
    assert not vectors[unmeasured].any()
    assert vectors[:unmeasured].any(dim=1).all()


def test_what_a_model_asks_for_and_the_folder_lacks_is_said(folder):
    (folder / "numeric.tsv").unlink()
    with pytest.raises(ConfigError, match=r"has no numbers of its entities, which the model reads; add numeric.tsv"):
        load(folder, features={"numeric": "ranks"})
    with pytest.raises(ConfigError, match="no modality 'numeric' in the data"):
        pictokg.build("gated", load(folder), modalities=["numeric"])


def test_an_option_of_the_encoder_is_chosen_by_its_spec(folder):
    data = load(folder, features={"numeric": "ranks:width=2"})
    assert data.table("numeric").width == 2
    assert data.encoders["numeric"].is_dir()
    shutil.rmtree(folder / "features")
    with pytest.raises(ConfigError, match="numbers are encoded by"):
        load(folder, features={"numeric": "ranks:depth=2"})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("city1\theight\ttall", "line 2: 'tall' is not a finite number (1 such line skipped)"),
        ("city1\theight\tinf", "line 2: 'inf' is not a finite number (1 such line skipped)"),
        ("city1\theight\tNaN", "line 2: 'NaN' is not a finite number (1 such line skipped)"),
        ("Atlantis\theight\t3", "line 2: 'Atlantis' is not an entity of the graph (1 such line skipped)"),
    ],
)
def test_lines_that_are_no_numbers_of_entities_are_said_with_file_and_line_and_skipped(folder, line, problem):
    (folder / "numeric.tsv").write_text(f"city0\theight\t3\n{line}\ncity2\theight\t4\n")
    data = load(folder, modalities=["numeric"])
    assert data.notes == (f"numeric.tsv, {problem}",)
    known = [data.graph.entities.name(place) for place in np.flatnonzero(data.table("numeric").present)]
    assert sorted(known) == ["city0", "city2"]
    from pictokg.graph.read.folder import read_folder

    with pytest.raises(DataError, match=r"numeric.tsv, line 2: .*; 1 such line; mend or remove"):
        read_folder(folder, strict=True)


def test_a_line_without_a_value_is_an_error_with_file_and_line(folder):
    (folder / "numeric.tsv").write_text("city0\theight\t3\ncity1\theight\t\n")
    with pytest.raises(DataError, match=r"numeric.tsv, line 2: the value is empty"):
        load(folder)

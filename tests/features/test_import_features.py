"""From a stranger's feature file to a table that train finds: order, names, gaps, and what is refused."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from pictokg.cli.import_features import import_features as verb
from pictokg.datasets.load import load
from pictokg.errors import ConfigError, DataError
from pictokg.features import store
from pictokg.features.gaps import Gaps
from pictokg.features.importing import FeatureFile, import_features
from pictokg.graph.vocabulary import Vocabulary

ENTITIES = Vocabulary(["Paris", "Rome", "東京", "Oslo"])
X = np.arange(1, 13, dtype=np.float32).reshape(4, 3)

app = typer.Typer()
app.command()(verb)


@pytest.fixture
def bring(tmp_path):
    """Import rows that stand in an array, or whatever a pickle holds."""

    def bring_in(content, *, gaps=None, **how):
        path = tmp_path / ("x.npy" if isinstance(content, np.ndarray) else "x.pkl")
        if isinstance(content, np.ndarray):
            np.save(path, content)
        else:
            path.write_bytes(pickle.dumps(content))
            how.setdefault("format", "keyed")
        return import_features(FeatureFile(path, **how), ENTITIES, tmp_path / "image-x", modality="image", gaps=gaps)

    return bring_in


def rows_of(done):
    """Entity → its rows."""
    table = done.table
    return {
        name: table.values[table.offsets[place] : table.offsets[place + 1]].tolist()
        for place, name in enumerate(ENTITIES.names)
    }


# Order and names


def test_the_order_decides_whose_row_it_is(bring, tmp_path):
    assert rows_of(bring(X, order="graph"))["Rome"] == [X[1].tolist()]
    by_sorting = rows_of(bring(X, order="sorted"))  # Oslo, Paris, Rome, 東京
    assert (by_sorting["Oslo"], by_sorting["Paris"]) == ([X[0].tolist()], [X[1].tolist()])
    (tmp_path / "entity2id.txt").write_text("4\nOslo\t0\nRome\t1\nParis\t2\n東京\t3\n", encoding="utf-8")
    assert rows_of(bring(X, order=str(tmp_path / "entity2id.txt")))["Paris"] == [X[2].tolist()]


def test_an_order_is_never_guessed(bring):
    with pytest.raises(ConfigError, match=r"its rows have no names; declare their order: --order graph, sorted, or"):
        bring(X)
    with pytest.raises(ConfigError, match=r"for this format usually ent_ids_1"):
        bring({0: X[0]})


def test_an_order_of_another_length_is_refused(bring, tmp_path):
    (tmp_path / "entities.txt").write_text("Oslo\nRome\n")
    problem = r"x.npy: has rows for 4 entities, but the order .*entities.txt numbers 2; declare the order that"
    with pytest.raises(DataError, match=problem):
        bring(X, order=str(tmp_path / "entities.txt"))
    with pytest.raises(DataError, match="rows for 3 entities, but the order graph numbers 4"):
        bring(X[:3], order="graph")


def test_an_order_may_name_entities_that_the_graph_lacks(bring, tmp_path):
    (tmp_path / "entities.txt").write_text("Atlantis\nRome\nParis\nOslo\n")
    done = bring(X, order=str(tmp_path / "entities.txt"))
    assert rows_of(done) == {"Paris": [X[2].tolist()], "Rome": [X[1].tolist()], "東京": [], "Oslo": [X[3].tolist()]}
    assert done.coverage.unknown == ("Atlantis",)


def test_rows_with_names_need_no_order_and_take_none(bring):
    done = bring({"Rome": X[0], "Oslo": X[:2], "Atlantis": X[3]})
    assert rows_of(done)["Oslo"] == X[:2].tolist()
    assert (done.coverage.present, done.coverage.unknown) == (2, ("Atlantis",))
    with pytest.raises(ConfigError, match=r"its rows have names, as 'Rome'; leave out --order"):
        bring({"Rome": X[0]}, order="graph")


def test_names_that_are_ids_take_an_order(bring):
    """As MyGO's tokens of DB15K, whose keys are "0", "1" …, and MMEA's dictionaries of integers."""
    for content in ({"1": X[0], "3": X[1]}, {1: X[0], 3: X[1]}):
        assert rows_of(bring(content, order="graph")) == {
            "Paris": [],
            "Rome": [X[0].tolist()],
            "東京": [],
            "Oslo": [X[1].tolist()],
        }
    with pytest.raises(DataError, match="rows of number 9, which the order graph does not have"):
        bring({9: X[0]}, order="graph")


def test_names_of_another_language_are_translated_by_a_file(bring, tmp_path):
    names = tmp_path / "names.tsv"
    names.write_text("Paris\tQ90\nOslo\tQ585\n東京\tQ585\nOslo\tQ90\nRome\tQ220\n", encoding="utf-8")
    done = bring({"Q90": X[0], "Q585": X[1], "Q1": X[2]}, names=names)
    assert rows_of(done) == {
        "Paris": [X[0].tolist()],
        "Rome": [],
        "東京": [X[1].tolist()],
        "Oslo": X[:2].tolist(),
    }
    assert done.coverage.unknown == ("Q1",)
    with pytest.raises(DataError, match=r"none of its names \('Q7'\) is in .*names.tsv"):
        bring({"Q7": X[0]}, names=names)


def test_a_list_of_names_leaves_the_others_out(bring, tmp_path):
    """So noise of entities that have no picture can be left out of kbc's files."""
    (tmp_path / "pictured.tsv").write_text("Rome\nOslo\n")
    done = bring(X, order="sorted", names=tmp_path / "pictured.tsv")
    assert rows_of(done) == {"Paris": [], "Rome": [X[2].tolist()], "東京": [], "Oslo": [X[0].tolist()]}


def test_a_prefix_and_angle_brackets_make_local_names_whole(tmp_path):
    entities = Vocabulary(["http://dbpedia.org/resource/Paris", "http://dbpedia.org/resource/Rome"])
    np.savez(tmp_path / "x.npz", ids=np.array(["Paris", "Rome"]), x=X[:2])
    file = FeatureFile(tmp_path / "x.npz", prefix="http://dbpedia.org/resource/")
    done = import_features(file, entities, tmp_path / "image-x", modality="image")
    assert done.table.values.tolist() == X[:2].tolist()
    np.savez(tmp_path / "y.npz", ids=np.array([f"<{name}>" for name in entities.names]), x=X[:2])
    done = import_features(FeatureFile(tmp_path / "y.npz"), entities, tmp_path / "image-x", modality="image")
    assert done.coverage.present == 2
    file = FeatureFile(tmp_path / "x.npz", prefix="a", names=tmp_path / "x.npz")
    with pytest.raises(ConfigError, match="give --names or --prefix, not both"):
        import_features(file, entities, tmp_path / "image-x", modality="image")


def test_names_of_another_graph_and_bad_numbers_are_refused_and_nothing_is_written(bring, tmp_path):
    with pytest.raises(DataError, match=r"none of its 2 names \('Q1', 'Q2'\) is an entity"):
        bring({"Q1": X[0], "Q2": X[1]})
    bad = X.copy()
    bad[2, 1] = np.nan
    with pytest.raises(DataError, match=r"x.npy: row 2 \(entity '東京'\) holds nan in column 1"):
        bring(bad, order="graph")
    bad[2, 1] = np.inf
    with pytest.raises(DataError, match="holds inf in column 1"):
        bring(bad, order="graph")
    assert not (tmp_path / "image-x").exists()


# Gaps


def test_rows_that_stand_for_nothing_are_taken_out_when_asked(bring):
    padded = X.copy()
    padded[[0, 2]] = 0
    kept = bring(padded, order="graph")
    assert kept.coverage.present == 4
    assert kept.notes == ("2 rows are zeros; where they stand for nothing, add --absent zeros",)
    done = bring(padded, order="graph", gaps=Gaps(absent="zeros"))
    assert rows_of(done) == {"Paris": [], "Rome": [X[1].tolist()], "東京": [], "Oslo": [X[3].tolist()]}
    assert done.notes == ("2 rows of zeros were taken out",)


def test_the_row_that_is_repeated_most_is_taken_out_when_asked(bring):
    padded = X.copy()
    padded[[1, 2]] = X.mean(axis=0)
    assert "2 of 4 rows are one and the same" in bring(padded, order="graph").notes[0]
    done = bring(padded, order="graph", gaps=Gaps(absent="repeated"))
    assert rows_of(done) == {"Paris": [X[0].tolist()], "Rome": [], "東京": [], "Oslo": [X[3].tolist()]}
    assert bring(X, order="graph", gaps=Gaps(absent="repeated")).coverage.present == 4


SOME = {"Rome": X[0], "Oslo": X[1:3]}


def test_entities_without_rows_have_none_unless_asked(bring):
    done = bring(SOME)
    assert done.table.present.tolist() == [False, True, False, True]
    assert done.notes == ()


@pytest.mark.parametrize(("how", "expected"), [("zeros", [0, 0, 0]), ("mean", X[:3].mean(axis=0).tolist())])
def test_gaps_are_filled_when_asked_and_say_so(bring, how, expected):
    done = bring(SOME, gaps=Gaps(fill=how))
    assert rows_of(done) == {"Paris": [expected], "Rome": [X[0].tolist()], "東京": [expected], "Oslo": X[1:3].tolist()}
    assert done.table.keys.count(f"filled with {how}") == 2
    assert done.coverage.present == 2  # of the file
    assert done.notes == (f"2 entities without rows were filled with {how}; they count as having features now",)


def test_noise_has_the_mean_and_deviation_of_the_rows_and_comes_again_with_its_seed(tmp_path):
    entities = Vocabulary([f"e{number}" for number in range(4_000)])
    generator = np.random.default_rng(0)
    rows = generator.normal([3, -1], [0.5, 2], (2_000, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", ids=np.array(entities.names[::2]), x=rows)

    def noise(seed):
        gaps = Gaps(fill="noise", seed=seed)
        file = FeatureFile(tmp_path / "x.npz")
        return import_features(file, entities, tmp_path / "image-x", modality="image", gaps=gaps).table.values[1::2]

    drawn = np.array(noise(1))
    np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=5 * 2 / np.sqrt(2_000))
    np.testing.assert_allclose(drawn.std(axis=0), rows.std(axis=0), rtol=0.1)
    assert np.array_equal(drawn, noise(1))
    assert not np.array_equal(drawn, noise(2))


# The verb


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "cities"
    root.mkdir()
    (root / "entities.tsv").write_text("0\tParis\n1\tRome\n2\t東京\n3\tOslo\n", encoding="utf-8")
    facts = [("Paris", "Rome"), ("Rome", "東京"), ("東京", "Oslo"), ("Oslo", "Paris")]
    for split, lines in (("train", facts), ("valid", [("Paris", "東京")]), ("test", [("Rome", "Oslo")])):
        (root / f"{split}.tsv").write_text("".join(f"{h}\tnear\t{t}\n" for h, t in lines), encoding="utf-8")
    return root


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_an_imported_table_is_found_by_train_and_by_the_run(folder, tmp_path, capsys):
    import pictokg
    from pictokg.cli.app import app as whole
    from pictokg.run import load_run

    torch.save(torch.from_numpy(X), tmp_path / "Cities visual.pth")
    done = run(
        folder,
        tmp_path / "Cities visual.pth",
        "--modality",
        "image",
        "--format",
        "openke",
        "--order",
        "graph",
        "--json",
    )
    figures = json.loads(done.stdout)
    assert figures["folder"] == str(folder / "features" / "image-Cities-visual")
    assert (figures["coverage"]["present"], figures["width"]) == (4, 3)
    data = load(folder)
    assert data.features == {"image": "image-Cities-visual"}
    assert data.table("image").values.tolist() == X.tolist()
    assert store.load(folder / "features" / "image-Cities-visual", verify=True).fingerprint == figures["fingerprint"]
    train = ["train", str(folder), "--out", str(tmp_path / "run"), "--set", "dim=4", "--set", "epochs=1"]
    assert CliRunner().invoke(whole, train, catch_exceptions=False).exit_code == 0
    assert load_run(tmp_path / "run").data.features == {"image": "image-Cities-visual"}
    assert pictokg.build("gated", data, dim=4).encoder.tables["image"].count.tolist() == [1, 1, 1, 1]


def test_where_a_table_came_from_is_kept_beside_it(folder, tmp_path):
    np.save(tmp_path / "x.npy", X)
    options = ("--modality", "sound", "--order", "sorted", "--fill", "mean", "--name", "sound-street")
    result = run(folder, tmp_path / "x.npy", *options)
    assert "sound-street: 4 of 4 entities" in result.stderr
    assert "train with it: pictokg train" in result.stderr
    origin = json.loads((folder / "features" / "sound-street" / "source.json").read_text())
    assert (origin["order"], origin["fill"], len(origin["sha256"])) == ("sorted", "mean", 64)
    assert store.read_manifest(folder / "features" / "sound-street").modality == "sound"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--fill", "means"), "--fill 'means' does not exist; did you mean 'mean'"),
        (("--absent", "zero"), "--absent 'zero' does not exist; did you mean 'zeros'"),
        (("--set", "first"), "--set 'first': write it as option=value"),
        (("--name", "../x"), "cannot name a table or a modality"),
        (("--name", "..."), "cannot name a table or a modality"),
        (("--format", "openk"), "did you mean 'openke'"),
    ],
)
def test_options_that_do_not_exist_are_refused(folder, tmp_path, options, problem):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(ConfigError, match=problem):
        run(folder, tmp_path / "x.npy", "--modality", "image", "--order", "graph", *options)
    assert not (folder / "features").exists()

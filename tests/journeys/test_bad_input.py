"""Bad input: a few lines that name file, line and remedy; exit code 2; nothing lost."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pictokg.errors import PictoKGError

FAST = ("--set", "dim=4", "--set", "epochs=1")


def assert_refused(result, *said):
    code, out, err = result
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) <= 6
    for words in said:
        assert words in err.replace("\n", " "), err


@pytest.fixture
def train(pictokg, folder, tmp_path):
    return lambda *more: pictokg("train", folder, "--out", tmp_path / "run", *FAST, *more)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ("train.tsv",)),
        ("a\tr\n", ("train.tsv", "line 1")),
        ("a\tr\tb\nc r d\n", ("train.tsv", "line 2")),
        ("a,r,b\n", ("train.tsv", "line 1")),
        ("a\tr\tb\n\tr\tb\n", ("train.tsv", "line 2")),
    ],
    ids=["empty", "missing column", "mixed separator", "other separator", "empty name"],
)
def test_broken_triples(train, folder, content, said):
    (folder / "train.tsv").write_text(content, encoding="utf-8")
    assert_refused(train(), *said)


def test_unknown_entities_in_text_and_images_are_counted_and_shown(train, folder):
    with (folder / "text.tsv").open("a") as handle:
        handle.write("nobody\tlabel\twords\n")
    with (folder / "images.tsv").open("a") as handle:
        handle.write("nobody\timages/0.png\n")
    code, _, err = train()
    assert code == 0
    assert "text.tsv, line 37" in err.replace("\n", " ")
    assert "images.tsv, line 37" in err.replace("\n", " ")


def test_a_picture_that_is_none_is_skipped_by_name(train, folder):
    (folder / "images" / "3.png").write_bytes(b"this is no picture")
    code, _, err = train()
    assert code == 0
    assert "images/3.png" in err.replace("\n", "")


def test_nan_features(train, folder):
    (folder / "features").mkdir()
    values = np.ones((2, 3), dtype=np.float32)
    values[1, 2] = np.nan
    np.savez(folder / "features" / "image_mine.npz", ids=np.array(["thing:0", "thing:1"]), x=values)
    assert_refused(train(), "image_mine.npz", "thing:1")


def test_features_of_another_length_than_their_ids(train, folder):
    (folder / "features").mkdir()
    np.savez(folder / "features" / "image_mine.npz", ids=np.array(["thing:0"]), x=np.ones((2, 3), dtype=np.float32))
    assert_refused(train(), "image_mine.npz", "2 rows", "1 name")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--model", "gatet"), ("did you mean 'gated'",)),
        (("--set", "epoch=3"), ("epoch", "did you mean 'epochs'")),
        (("--set", "epochs=many"), ("training.epochs", "expected int")),
        (("--set", "scoring=rotat"), ("did you mean 'rotate'",)),
        (("--set", "modalities=sound"), ("sound", "structure")),
        (("--sampler", "k_vs_all", "--loss", "margin"), ("does not read", "softmax")),
        (("--set", "dim"), ("key=value",)),
        (("--device", "cuda:9"), ("cuda:9",)),
        (("--set", "features.image=hogs"), ("hogs",)),
    ],
)
def test_typos_are_refused_with_what_is_allowed(train, more, said):
    assert_refused(train(*more), *said)


def test_a_configuration_with_a_typo(train, tmp_path):
    (tmp_path / "mine.toml").write_text("[modell]\ndim = 3\n", encoding="utf-8")
    assert_refused(train("--config", tmp_path / "mine.toml"), "mine.toml", "did you mean 'model'")
    (tmp_path / "mine.toml").write_text("[model\n", encoding="utf-8")
    assert_refused(train("--config", tmp_path / "mine.toml"), "mine.toml", "TOML")


def test_a_model_of_pictures_on_a_folder_that_has_none(train, folder):
    (folder / "images.tsv").unlink()
    shutil.rmtree(folder / "images")
    assert_refused(train("--model", "ikrl"), "has no pictures", "images/")


def test_a_run_is_never_overwritten(train, tmp_path):
    assert train()[0] == 0
    assert_refused(train(), "holds a run already", "--resume")


def test_a_run_that_goes_on_takes_no_other_choices(train, pictokg, tmp_path):
    assert train()[0] == 0
    more = ("--set", "epochs=9", "--model", "transe", "--seed", 0)
    assert_refused(pictokg("train", "--resume", tmp_path / "run", *more), "leave out --set, --model, --seed")


def test_what_cannot_be_built_leaves_no_run_behind(train, tmp_path):
    for wrong in ("dropout=2", "modalities=sound", "warm_start=nowhere", "learning_rate=-1"):
        assert train("--set", wrong)[0] == 2
        assert not (tmp_path / "run").exists()


def test_questions_with_names_nobody_has(train, pictokg, tmp_path):
    train()
    run = tmp_path / "run"
    assert_refused(pictokg("predict", run, "--head", "thing:99", "--relation", "kind"), "thing:99", "did you mean")
    assert_refused(pictokg("predict", run, "--head", "thing:1"), "give two of")
    (tmp_path / "queries.tsv").write_text("thing:1\tkind\n", encoding="utf-8")
    assert_refused(pictokg("predict", run, "--queries", tmp_path / "queries.tsv"), "queries.tsv, line 1")
    (tmp_path / "triples.tsv").write_text("thing:1\tkind\tkind:boat\n", encoding="utf-8")
    assert_refused(pictokg("score", run, tmp_path / "triples.tsv"), "triples.tsv", "kind:boat")
    assert_refused(pictokg("evaluate", run, "--split", "tset"), "tset", "train")
    assert_refused(pictokg("evaluate", tmp_path), "no run folder")


@pytest.mark.filterwarnings("default")
def test_triples_that_changed_under_a_run_are_warned_of(train, pictokg, folder, tmp_path):
    train()
    lines = (folder / "train.tsv").read_text(encoding="utf-8").splitlines()
    (folder / "train.tsv").write_text("\n".join([*lines, lines[0]]) + "\n", encoding="utf-8")
    code, _, err = pictokg("evaluate", tmp_path / "run", "--json")
    assert code == 0
    assert "the training triples" in err


def test_data_that_changed_since_training(train, pictokg, folder, tmp_path):
    train()
    with (folder / "train.tsv").open("a") as handle:
        handle.write("thing:new\tkind\tkind:cup\n")
    assert_refused(pictokg("evaluate", tmp_path / "run"), "no longer those")


def test_words_that_changed_since_training(train, pictokg, folder, tmp_path):
    train()
    text = (folder / "text.tsv").read_text()
    (folder / "text.tsv").write_text(text.replace("cup number", "goblet of gold, number"))
    assert_refused(pictokg("evaluate", tmp_path / "run"), "'text'", "no longer those", "run.json")
    (folder / "text.tsv").write_text(text)
    assert pictokg("evaluate", tmp_path / "run")[0] == 0


def test_a_run_that_does_not_say_what_it_was_trained_on(train, pictokg, tmp_path):
    train()
    for content in ("", "{}", '{"data": {"source": "x", "features": {"text": "abc"}}}'):
        (tmp_path / "run" / "run.json").write_text(content)
        assert_refused(pictokg("evaluate", tmp_path / "run"), "run.json", "train again")


def test_figures_are_printed_where_no_report_can_be_written(train, pictokg, tmp_path, monkeypatch):
    def refuse(*_):
        raise PictoKGError("cannot write report.html: read-only")

    train()
    monkeypatch.setattr("pictokg.report.page.write_report", refuse)
    code, out, err = pictokg("evaluate", tmp_path / "run", "--json")
    assert code == 0
    assert json.loads(out)["metrics"]["mrr"] > 0
    assert "read-only" in err


def test_an_interrupted_training_says_how_to_go_on(train, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pictokg.training.loop.Trainer._step", interrupt)
    code, _, err = train()
    assert code == 130
    assert "--resume" in err


@pytest.mark.parametrize("verb", ["classify", "evaluate", "split", "train", "glyphs", "demo"])
def test_a_seed_below_0_is_refused(pictokg, tmp_path, verb):
    code, out, err = pictokg(verb, *([] if verb in ("glyphs", "demo") else [tmp_path]), "--seed", "-1")
    assert (code, out) == (2, "")
    assert "--seed" in err
    assert "equal to 0" in err


def test_a_triple_to_score_with_a_name_nobody_has_is_named_by_its_line(train, pictokg, tmp_path):
    train()
    triples = tmp_path / "ask.tsv"
    triples.write_text("thing:0\tcolour\tcolour:red\n\nthing:0\tcolour\tcolour:rouge\n")
    code, out, err = pictokg("score", tmp_path / "run", triples)
    assert (code, out) == (2, "")
    assert "ask.tsv, line 3: triple 2: 'colour:rouge' is no entity of the run" in err


def test_an_entity_called_question_mark_can_be_asked_about(train, pictokg, folder, tmp_path):
    with (folder / "train.tsv").open("a") as file:
        file.write("?\tcolour\tcolour:red\n")
    train()
    (tmp_path / "ask.tsv").write_text("\\?\tcolour\t?\n")
    code, out, _ = pictokg("predict", tmp_path / "run", "--queries", tmp_path / "ask.tsv", "--json", "-k", 40)
    assert code == 0
    assert '"colour:red"' in out


def test_without_a_test_split_the_next_step_is_one_that_works(train, pictokg, folder, tmp_path):
    (folder / "test.tsv").unlink()
    _, _, err = train()
    assert "--split valid" in err.split("next:")[1]
    assert pictokg("evaluate", tmp_path / "run", "--split", "valid")[0] == 0

"""Recipes: each names parts and options that exist, says how it is run, and builds and trains on a graph."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from random_data import make_data

from pictokg.assembly import build_model, build_trainer, modalities_read
from pictokg.config import configure
from pictokg.features.encoders import make_encoder, names

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
PLANS = sorted((ROOT / "benchmarks" / "quality").glob("*.toml"))
recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def test_there_is_a_recipe_for_each_data_set_and_the_docs_name_it():
    assert {path.stem for path in RECIPES} >= {"glyphs", "emoji", "fashion", "db15k", "mkg_w", "mkg_y"}
    page = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    assert [path.stem for path in RECIPES if f"recipes/{path.name}" not in page] == []


@recipes
def test_a_recipe_says_the_command_that_runs_it(recipe):
    command = re.search(
        r"^#   pictokg train \S+ --config (\S+) --out (\S+) && pictokg evaluate (\S+)$", recipe.read_text(), re.M
    )
    assert command is not None
    assert command[1] == f"recipes/{recipe.name}"
    assert command[2] == command[3]


@recipes
def test_a_recipe_builds_and_trains(recipe):
    data = make_data()
    config = configure(file=recipe, settings=[("dim", 8), ("epochs", 1), ("validation_triples", 4)])
    features = config.options("features")
    assert set(modalities_read(config, data.tables)) == set(features)
    for modality, spec in features.items():
        if spec.partition(":")[0] in names():
            assert make_encoder(spec, modality).modality == modality
    reports = list(build_trainer(config, build_model(config, data), data).epochs())
    assert np.isfinite(reports[0].loss)


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.stem)
def test_every_row_of_a_plan_is_a_configuration(plan):
    written = tomllib.loads(plan.read_text(encoding="utf-8"))
    rows = [row for row in written.get("rows", []) if "model" in row]
    for row in rows:
        config = configure(row["model"], settings=list(row.get("settings", {}).items()))
        assert config.name("model") == row["model"]
    assert len({row["name"] for row in rows}) == len(rows)

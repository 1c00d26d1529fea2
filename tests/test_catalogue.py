"""A part from a file of the user: found from any folder; what is wrong with it is said with file and line."""

from __future__ import annotations

import pytest

from pictokg import catalogue
from pictokg.config import configure
from pictokg.errors import ConfigError

MINE = """
from pictokg.models.distmult import build as distmult

DEFAULTS = {"sampler": {"name": "one_vs_all"}, "loss": {"name": "softmax"}}

def build(data, *, dim: int = 4):
    return distmult(data, dim=dim)
"""


def test_a_model_in_a_file_is_found_from_any_folder(tmp_path, monkeypatch, data):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    config = configure("./mine.py")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert catalogue.find("model", config.name("model"))(data).scoring.dim == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = 1\ndef build(:\n", r"mine\.py, line 2: SyntaxError"),
        ("x = 1\n\nimport nothing_of_that_name\n", r"mine\.py, line 3: ModuleNotFoundError"),
        ("x = 1\n", "no 'build'"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(content, said, tmp_path):
    (tmp_path / "mine.py").write_text(content)
    with pytest.raises(ConfigError, match=said):
        catalogue.find("model", str(tmp_path / "mine.py"))


def test_a_name_of_another_section_is_told_from_one_that_is_nowhere():
    with pytest.raises(ConfigError, match="there is no sampler 'self_adversarial'; there is a loss of that name"):
        catalogue.find("sampler", "self_adversarial")
    with pytest.raises(ConfigError, match="there is no sampler 'unifrom'; did you mean 'uniform'"):
        catalogue.find("sampler", "unifrom")

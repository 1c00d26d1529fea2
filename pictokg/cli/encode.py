"""`pictokg encode`: turn the pictures and words of a data folder into feature tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pictokg.cli.common import AsJson, Device, Threads, console, prepare, print_json, progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from pictokg.datasets.dataset import Dataset
    from pictokg.features.encode import Encoding
    from pictokg.features.encoders.base import Encoder
    from pictokg.features.items import Items
    from pictokg.features.share import Share

NONE = "none"


def encode(
    source: Annotated[str, typer.Argument(help="Data folder, or 'glyphs'.", metavar="FOLDER")],
    images: Annotated[
        str, typer.Option(help="Encoder of pictures: pixels, pixels:width=128, hog, hf:MODEL, alexnet:FILE …; none.")
    ] = "pixels",
    text: Annotated[
        str, typer.Option(help="Encoder of words: tfidf, tfidf:width=128, minilm, hf:MODEL, st:MODEL …; none.")
    ] = "tfidf",
    patches: Annotated[bool, typer.Option("--patches", help="Rows for parts of each picture too.")] = False,
    sentences: Annotated[bool, typer.Option("--sentences", help="A row for each sentence.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Fetch models that this machine lacks.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where to store the tables. [default: FOLDER/features]")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that decode pictures ahead, 0 for none. [default: one a core]", min=0)
    ] = None,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Encode pictures and words; nothing is done twice, and a killed run goes on where it was.

    Pictures that cannot be decoded are skipped and listed. What an encoder fits is stored with its table.
    Processes started by torchrun share the work.
    """
    from pictokg.datasets.load import load
    from pictokg.errors import ConfigError
    from pictokg.features.encoders import make_encoder, table_name
    from pictokg.features.place import features_folder
    from pictokg.features.share import Share

    choices = (
        ("image", images, {"patches": True} if patches else {}),
        ("text", text, {"sentences": True} if sentences else {}),
    )
    encoders = [make_encoder(spec, modality, **options) for modality, spec, options in choices if spec != NONE]
    data, share = load(source, modalities=[]), Share.from_environment()
    root = data.folder or Path()
    screen, target = console(), out or features_folder(root)
    if share.rank == 0:
        for note in data.notes:  # pictures that are listed and not there, among others
            screen.print(f"note: {note}", markup=False, soft_wrap=True)
    if out is None and not target.is_relative_to(root.resolve()):
        screen.print(f"{root} cannot be written; the tables go to {target}", markup=False, soft_wrap=True)
    todo = {encoder.modality: (encoder, _items(data, encoder.modality, root)) for encoder in encoders}
    for encoder, items in todo.values():  # all of them, before the first works for hours
        if len(items):
            _ready(encoder, target / table_name(encoder), (device, threads), download)
    done = {}
    for modality, (encoder, items) in todo.items():
        if len(items):
            done[modality] = _encode(items, encoder, target / table_name(encoder), share, workers)
            if share.rank == 0:
                _show(done[modality], screen)
        else:
            screen.print(f"{modality}: nothing to encode")
    if not done:
        raise ConfigError(f"{source} has nothing to encode: no images/, no text.tsv, or both left out by 'none'")
    if as_json and share.rank == 0:
        print_json({"tables": {modality: encoding.as_dict() for modality, encoding in done.items()}})


def _items(data: Dataset, modality: str, root: Path) -> Items:
    """Take the pictures or the words of a data set."""
    from pictokg.features.items import Items

    if modality == "image":
        return Items.of_pictures(data.pictures, data.graph.entities, root)
    texts = {name: data.text_of(name) for name in {*data.labels, *data.descriptions}}
    return Items.of_texts(texts, data.graph.entities)


def _ready(encoder: Encoder, folder: Path, processor: tuple[str, int], download: bool) -> None:
    """Choose the device, fetch weights if asked to, and say at once where weights or packages are missing."""
    from pictokg.features.encoders._pretrained import Pretrained
    from pictokg.features.encoders.base import NeedsMore

    if isinstance(encoder, Pretrained):
        device, threads = processor
        prepare(device, threads)
        # Of several processes on a machine with several GPUs each takes its own.
        own = device == "cuda" and "LOCAL_RANK" in os.environ
        encoder.device = f"cuda:{os.environ['LOCAL_RANK']}" if own else device
        if download:
            encoder.download()
    # What is encoded already needs no weights.
    if isinstance(encoder, NeedsMore) and not (folder / "manifest.toml").is_file():
        encoder.check()


def _encode(items: Items, encoder: Encoder, folder: Path, share: Share, workers: int | None) -> Encoding:
    """Encode with a progress bar."""
    from pictokg.features.encode import encode

    unit = "pictures" if encoder.modality == "image" else "texts"
    if share.rank > 0:  # the first process speaks for all
        return encode(items, encoder, folder, share=share, workers=workers)
    with progress_bar(f"encoding with {encoder.name}", len(items), unit) as (bar, task):

        def show(done: int, _: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, note=f"{speed:,.0f} {unit}/s" if speed else "")

        return encode(items, encoder, folder, progress=show, share=share, workers=workers)


def _show(encoding: Encoding, screen: Console) -> None:
    """Say what was done."""
    screen.print(str(encoding.coverage), markup=False, soft_wrap=True)
    if encoding.cached:
        screen.print(f"  already encoded: {encoding.folder}", markup=False, soft_wrap=True)
    else:
        speed = f"{encoding.encoded:,} encoded in {encoding.seconds:.1f} s ({encoding.rate:,.0f}/s once fitted)"
        screen.print(f"  {speed}, written to {encoding.folder}", markup=False, soft_wrap=True)
    for note in encoding.notes:
        screen.print(f"  note: {note}", markup=False, soft_wrap=True)

"""The verbs of the command line, in the order people meet them."""

from __future__ import annotations

import typer

from pictokg.cli.calibrate import calibrate
from pictokg.cli.classify import classify
from pictokg.cli.complete import complete
from pictokg.cli.demo import demo
from pictokg.cli.encode import encode
from pictokg.cli.evaluate import evaluate
from pictokg.cli.explain import explain
from pictokg.cli.export import export
from pictokg.cli.glyphs import glyphs
from pictokg.cli.import_features import import_features
from pictokg.cli.inspect import inspect
from pictokg.cli.predict import predict
from pictokg.cli.score import score
from pictokg.cli.serve import serve
from pictokg.cli.split import split
from pictokg.cli.train import train

app = typer.Typer(
    help="Complete knowledge graphs whose entities have pictures and words.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    demo,
    inspect,
    split,
    glyphs,
    encode,
    import_features,
    train,
    evaluate,
    classify,
    calibrate,
    predict,
    complete,
    explain,
    score,
    serve,
    export,
):
    app.command()(verb)


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Complete knowledge graphs whose entities have pictures and words."""
    if show:
        from pictokg import __version__

        print(f"pictokg {__version__}")
        raise typer.Exit

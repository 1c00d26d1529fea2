"""What turns pictures and words into rows: one encoder a file, and the file name is its name.

A spec chooses one: its name, and any of its options, as in "pixels" or "pixels:width=128,patches=true".
"""

from __future__ import annotations

import importlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from pictokg.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoder


def names() -> list[str]:
    """List the encoders there are, by file name.

    >>> names()
    ['pixels', 'tfidf']
    """
    found = {path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")}
    return sorted(found - {"base"})


def make_encoder(spec: str, modality: str | None = None, **options: Any) -> Encoder:
    """Make an encoder that has not been fitted yet.

    Args:
        spec: a name, then options after a colon: "pixels:width=128,patches=true".
        modality: "image" or "text" where only such an encoder will do.
        options: more options; they win over those in the spec.

    Raises:
        ConfigError: an unknown name, option or value, with what is allowed; an encoder of another modality.

    >>> make_encoder("tfidf:width=64").options()
    {'width': 64, 'sentences': False, 'seed': 0}
    """
    name, _, text = spec.partition(":")
    builder = _find(name)
    if modality is not None and builder.modality != modality:
        fitting = [other for other in names() if _find(other).modality == modality]
        raise ConfigError(
            f"encoder {name!r} is for {builder.modality}, not for {modality}; choose: {', '.join(fitting)}"
        )
    chosen = {**dict(_setting(part, spec) for part in text.split(",") if part.strip()), **options}
    types = get_type_hints(builder.__init__)
    allowed = list(inspect.signature(builder).parameters)
    for option, value in chosen.items():
        if option not in allowed:
            raise ConfigError(f"encoder {name!r} has no option {option!r}; {nearest(option, allowed)}")
        _check_type(f"{name}.{option}", value, types[option])
    return builder(**chosen)


def table_name(encoder: Encoder) -> str:
    """Name the table of an encoder: its modality, its name, and the options that are not the default.

    >>> table_name(make_encoder("pixels")), table_name(make_encoder("pixels:width=64,patches=true"))
    ('image-pixels', 'image-pixels-width64-patches')
    """
    parts = [encoder.modality, encoder.name]
    defaults = inspect.signature(type(encoder)).parameters
    for option, value in encoder.options().items():
        if value != defaults[option].default:
            parts.append(option if value is True else f"{option}{value}")
    return "-".join(parts)


def load_encoder(folder: Path | str) -> Encoder:
    """Load an encoder with what it has fitted, to encode an entity never seen."""
    path = Path(folder) / "encoder.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"is no saved encoder ({error})", file=path, remedy="encode again: pictokg encode FOLDER"
        ) from error
    return _find(name).load(Path(folder))


def _find(name: str) -> type[Encoder]:
    """Find the class whose `name` is the name of its file."""
    if name not in names():
        raise ConfigError(f"there is no encoder {name!r}; {nearest(name, names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    return next(member for member in vars(module).values() if getattr(member, "name", None) == name)


def _setting(text: str, spec: str) -> tuple[str, Any]:
    """One "key=value", the value as TOML reads it, else as text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"cannot read {text!r} in {spec!r}; write options as name:key=value,key=value")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _check_type(option: str, value: Any, kind: Any) -> None:
    """ConfigError when a value is not of the kind that the signature declares."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{option} is {value!r}; {nearest(str(value), map(str, get_args(kind)))}")
    elif type(value) is not kind:  # a bool is an int to Python, and not to us
        raise ConfigError(f"{option} should be {kind.__name__}, got {value!r}")

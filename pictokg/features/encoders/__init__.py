"""What turns pictures and words into rows: one encoder a file, and the file name is its name.

A spec chooses one: its name, for some a source, and any of its options: "pixels", "pixels:width=128,patches=true",
"hf:google/vit-base-patch16-224", "hf:models/clip,pooling=mean", "py:my_package.encoders:Mine".
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from pictokg.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoder

ANY = "any"  # the modality of a file whose encoders are somebody else's
SETTING = re.compile(r"\s*[A-Za-z_]\w*\s*=")


def names() -> list[str]:
    """List the encoders there are, by file name.

    >>> names()
    ['alexnet', 'hf', 'hog', 'minilm', 'pixels', 'py', 'raw', 'st', 'tfidf']
    """
    found = {path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")}
    return sorted(found - {"base"})


def make_encoder(spec: str, modality: str | None = None, **options: Any) -> Encoder:
    """Make an encoder that has not been fitted yet, or needs no fitting.

    Args:
        spec: a name, then after a colon its source, where it has one, and options: "pixels:width=128,patches=true",
            "hf:some/folder,pooling=mean".
        modality: "image" or "text" where only such an encoder will do.
        options: more options; they win over those in the spec.

    Raises:
        ConfigError: an unknown name, option or value, with what is allowed; an encoder of another modality.

    >>> make_encoder("tfidf:width=64").options()
    {'width': 64, 'sentences': False, 'seed': 0}
    >>> make_encoder("hf:google/vit-base-patch16-224,pooling=mean", "image").options()["source"]
    'google/vit-base-patch16-224'
    """
    name, _, text = spec.partition(":")
    builder = _find(name, modality)
    source, settings = _cut(text)
    chosen = {**dict(_setting(part, spec) for part in settings), **options}
    if "source" in inspect.signature(builder).parameters:
        if not source:
            raise ConfigError(f"encoder {name!r} needs a source: {name}:{builder.source_means}")
        chosen = {"source": source, **chosen}
    elif source:
        raise ConfigError(f"cannot read {source!r} in {spec!r}; write options as name:key=value,key=value")
    if name == "py":
        return builder.of_user(chosen, modality, check_options)
    check_options(name, builder, chosen)
    return builder(**chosen)


def spec_of(encoder: Encoder) -> str:
    """Write the encoder with its options as `make_encoder` reads it.

    >>> spec_of(make_encoder("tfidf:width=64"))
    'tfidf:width=64,sentences=false,seed=0'
    """
    options = encoder.options()
    source = [str(options.pop("source"))] if "source" in options else []
    written = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in options.items()]
    return f"{encoder.name}:{','.join(source + written)}"


def table_name(encoder: Encoder) -> str:
    """Name the table of an encoder: its modality, name and source, and the options that are not the default.

    >>> table_name(make_encoder("pixels")), table_name(make_encoder("pixels:width=64,patches=true"))
    ('image-pixels', 'image-pixels-width64-patches')
    >>> table_name(make_encoder("hf:google/vit-base-patch16-224", "image", patches=True))
    'image-hf-google-vit-base-patch16-224-patches'
    """
    parts = [encoder.modality, encoder.name]
    defaults = inspect.signature(type(encoder)).parameters
    for option, value in encoder.options().items():
        if option == "source":
            parts.append(_short(str(value)))
        elif option not in defaults or value != defaults[option].default:
            parts.append(option if value is True else f"{option}{value}")
    return re.sub(r"[^\w.-]+", "_", "-".join(parts))


def load_encoder(folder: Path | str) -> Encoder:
    """Load an encoder with what it has fitted, to encode an entity never seen."""
    path = Path(folder) / "encoder.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        name, modality = settings["name"], settings.get("modality")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"is no saved encoder ({error})", file=path, remedy="encode again: pictokg encode FOLDER"
        ) from error
    return _find(name, modality).load(Path(folder))


def check_options(name: str, builder: Any, chosen: Mapping[str, Any]) -> None:
    """ConfigError where an option does not exist, is not of its type, or is needed and not given."""
    types, parameters = get_type_hints(builder.__init__), inspect.signature(builder).parameters
    for option, value in chosen.items():
        if option not in parameters:
            raise ConfigError(f"encoder {name!r} has no option {option!r}; {nearest(option, parameters)}")
        _check_type(f"{name}.{option}", value, types.get(option, Any))
    for option, parameter in parameters.items():
        if parameter.default is parameter.empty and option not in chosen:
            raise ConfigError(f"encoder {name!r} must be told its {option}: {name}:…,{option}=…")


def _find(name: str, modality: str | None = None) -> Any:
    """Find the class whose `name` is the name of its file, and of the modality where the file has several.

    Raises:
        ConfigError: there is none, or none of this modality, or no telling which.
    """
    found = _kinds(name)
    fitting = [kind for kind in found if modality is None or kind.modality in (modality, ANY)]
    if not fitting:
        others = [other for other in names() if any(kind.modality in (modality, ANY) for kind in _kinds(other))]
        raise ConfigError(
            f"encoder {name!r} is for {found[0].modality}, not for {modality}; choose: {', '.join(others)}"
        )
    if len(fitting) > 1:
        kinds = " or ".join(repr(kind.modality) for kind in fitting)
        raise ConfigError(f"encoder {name!r} must be told its modality: make_encoder(…, {kinds})")
    return fitting[0]


def _kinds(name: str) -> list[Any]:
    if name not in names():
        raise ConfigError(f"there is no encoder {name!r}; {nearest(name, names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    return [member for member in vars(module).values() if getattr(member, "name", None) == name]


def _cut(text: str) -> tuple[str, list[str]]:
    """Cut "some/folder,key=value,key=value" into the source and the settings.

    >>> _cut("models/a,b,pooling=mean"), _cut("width=3"), _cut("")
    (('models/a,b', ['pooling=mean']), ('', ['width=3']), ('', []))
    """
    source: list[str] = []
    pieces = text.split(",")
    while pieces and not SETTING.match(pieces[0]):
        source.append(pieces.pop(0))
    return ",".join(source).strip(), [piece for piece in pieces if piece.strip()]


def _short(source: str) -> str:
    """A name for a source: a hub id as it is, a file by its name and a digest of where it lies.

    >>> _short("google/vit-base"), _short("/models/vit-base")
    ('google-vit-base', 'vit-base-66e7bd')
    """
    if not Path(source).is_absolute():
        return source.replace("/", "-")
    return f"{Path(source).stem}-{hashlib.sha256(source.encode()).hexdigest()[:6]}"


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
    if kind is Any:
        return
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{option} is {value!r}; {nearest(str(value), map(str, get_args(kind)))}")
    elif type(value) is not kind:  # a bool is an int to Python, and not to us
        raise ConfigError(f"{option} should be {kind.__name__}, got {value!r}")

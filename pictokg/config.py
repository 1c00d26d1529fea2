"""Configuration: sections of options, whose schema is the signatures of the parts they build.

Later choices win: a model's defaults, a TOML file, named parts, single settings. Unknown keys are refused with the
nearest valid one. Only `assembly.py` turns a configuration into objects; nothing else has heard of it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

from pictokg import catalogue
from pictokg.errors import ConfigError, DataError, nearest
from pictokg.fusion.neighbours import NeighbourOptions
from pictokg.sampling.base import Sampler
from pictokg.training.loop import TrainingOptions
from pictokg.training.optimiser import KINDS, OptimiserOptions

FIXED = {"training": TrainingOptions, "optimiser": OptimiserOptions, "neighbours": NeighbourOptions}
ALWAYS = ("training", "optimiser")  # sections with defaults that hold where nothing is chosen
OPEN = ("features",)  # modality → table or encoder; any key is a modality
NAMED = (*catalogue.PACKAGES, "optimiser")  # sections that choose a part by name
SECTIONS = (*catalogue.PACKAGES, *FIXED, *OPEN)
NESTED = {"sampler": list[Sampler] | None}  # the type of an option that holds parts of its own section
NONE = "none"  # regulariser = "none"
SMALL_GRAPH = 10_000  # training triples below which an epoch is so few steps that more of them are needed
LARGE_GRAPH = 50_000  # entities above which a step must not score all of them

Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """A complete, validated choice: section → options; sections of parts have their `name` among them."""

    sections: Mapping[str, Options]

    def name(self, section: str) -> str:
        """The part chosen in a section; "none" where there is none."""
        return self.sections.get(section, {}).get("name", NONE)

    def options(self, section: str) -> Options:
        """The options of a section without the part's name."""
        return {key: value for key, value in self.sections.get(section, {}).items() if key != "name"}

    def to_toml(self) -> str:
        """The configuration as a TOML file that gives the same run."""
        parts = []
        for section, options in self.sections.items():
            lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in options.items() if value is not None]
            parts.append("\n".join([f"[{section}]", *lines]))
        return "\n\n".join(parts) + "\n"


def configure(
    model: str | None = None,
    *,
    file: Path | None = None,
    parts: Mapping[str, str] | None = None,
    settings: Sequence[tuple[str, Any]] = (),
    size: str = "",
) -> Config:
    """Put a configuration together.

    Args:
        model: the model's name; by default the file's, else "gated".
        file: a TOML file with a table a section.
        parts: section → name of the part, as from --sampler or --loss.
        settings: (key, value) pairs; a bare key where only one section has it, else "section.key". The name of a
            section is a key too: ("scoring", "rotate"). An option of a part within a part is "option.part.key":
            ("parts.nscaching.cache", 20). Text is read as TOML reads it.
        size: "small" or "large" takes the model's defaults for such graphs, where it has others for them (`size_of`).

    Raises:
        ConfigError: an unknown section, key, part or a value of the wrong kind, with what is allowed.
    """
    written = read_file(file) if file else {}
    settings = [(section if (section := key.removesuffix(".name")) in NAMED else key, value) for key, value in settings]
    named = {section: name for section, name in (parts or {}).items() if name}
    sections_set = [(key, value) for key, value in settings if key in NAMED]
    named.update({key: str(value) for key, value in sections_set})
    chosen = model or named.get("model") or written.get("model", {}).get("name") or "gated"

    sections: dict[str, Options] = {section: {} for section in SECTIONS}
    sections["model"]["name"] = chosen
    module = catalogue.module_of("model", chosen)
    for section, options in getattr(module, "DEFAULTS", {}).items():
        sections[section] = dict(options)
    for section, options in getattr(module, f"DEFAULTS_{size.upper()}", {}).items():
        _choose(sections, section, options)
    for section, options in written.items():
        _choose(
            sections,
            section,
            {key: value for key, value in options.items() if section != "model" or key != "name"},
        )
    chose_sampler = "sampler" in named or "sampler" in written
    if not chose_sampler and _asks_negatives(settings) and "negatives" not in schema("sampler", sections["sampler"]):
        named["sampler"] = "uniform"  # who asks for so many negatives asks for a sampler that draws them
    for section, name in named.items():
        if section != "model":
            _choose(sections, section, {"name": name})
    for key, value in settings:
        if key not in NAMED:
            section, option = _locate(key, sections)
            sections[section][option] = value
    return Config(
        {section: validated(section, options) for section, options in sections.items() if options or section in ALWAYS}
    )


def _asks_negatives(settings: Sequence[tuple[str, Any]]) -> bool:
    return any(key in {"negatives", "sampler.negatives"} for key, _ in settings)


def size_of(entities: int, triples: int) -> str:
    """The size that decides which defaults suit a graph: "small", "large", or "" for all between.

    >>> size_of(600, 2_000), size_of(15_000, 35_000), size_of(1_000_000, 10_000_000)
    ('small', '', 'large')
    """
    if entities > LARGE_GRAPH:
        return "large"
    return "small" if triples < SMALL_GRAPH else ""


def read_file(path: Path) -> dict[str, Options]:
    """Read a TOML file and check its section names."""
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"is no TOML ({error})", file=path) from error
    for section, options in written.items():
        if section not in SECTIONS:
            raise ConfigError(f"{path}: unknown section [{section}]; {nearest(section, SECTIONS)}")
        if not isinstance(options, dict):
            raise ConfigError(f"{path}: {section!r} should be a table; write [{section}] with its options below")
    return written


def schema(section: str, options: Options) -> dict[str, tuple[Any, Any]]:
    """The keys of a section, given the part it names: key → (type, default)."""
    if section in FIXED:
        hints = catalogue.options_of(FIXED[section])
    elif options.get("name", NONE) == NONE:
        hints = {}
    else:
        hints = catalogue.options_of(catalogue.find(section, options["name"]))
    keys = {key: (_type(parameter), parameter.default) for key, parameter in hints.items()}
    return {"name": (str, None), **keys} if section in NAMED else keys


def validated(section: str, options: Options) -> Options:
    """The options with values of the declared types and defaults filled in; ConfigError where they do not fit."""
    if section in OPEN:
        return {key: str(value) for key, value in options.items()}
    if section in catalogue.PACKAGES and options.get("name", NONE) == NONE:
        if set(options) - {"name"}:
            raise ConfigError(
                f"section [{section}] has options but no name; choose one of: {', '.join(catalogue.names(section))}"
            )
        return {"name": NONE}
    if section == "optimiser" and "name" in options and options["name"] not in KINDS:
        raise ConfigError(f"unknown optimiser {options['name']!r}; {nearest(options['name'], KINDS)}")
    allowed = schema(section, options)
    options = _unfolded(section, options, allowed)
    for key in options:
        if key not in allowed:
            part = f" of {section} {options['name']!r}" if "name" in options else f" of section [{section}]"
            raise ConfigError(f"unknown option {key!r}{part}; {nearest(key, allowed)}")
    chosen = {
        key: _coerce(section, key, options[key], kind) if key in options else default
        for key, (kind, default) in allowed.items()
    }
    if section in FIXED:
        FIXED[section](**chosen)  # refuses values out of range
    for key in ("name", "generator"):  # to be found from any folder
        path = Path(str(chosen.get(key) or ""))
        if path.suffix == ".py" or (key == "generator" and (path / "config.toml").is_file()):
            chosen[key] = str(path.resolve())
    return chosen


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `key=value` of --set; the value is read as TOML reads it, and is text where TOML cannot.

    >>> parse_setting("dim=128"), parse_setting("modalities=structure,image")
    (('dim', 128), ('modalities', 'structure,image'))
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set takes key=value; got {text!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _choose(sections: dict[str, Options], section: str, options: Options) -> None:
    """Lay options over a section; another part than before takes none of the old part's options along."""
    renamed = "name" in options and options["name"] != sections[section].get("name")
    sections[section] = dict(options) if renamed else {**sections[section], **options}


def _locate(key: str, sections: dict[str, Options]) -> tuple[str, str]:
    """The section and option that a key of --set means."""
    if "." in key:
        section, option = key.split(".", 1)
        for home in NESTED:
            if schema(home, sections[home]).get(section, (str, None))[0] == NESTED[home]:
                return home, key
        if section not in SECTIONS:
            raise ConfigError(f"unknown section {section!r} in {key!r}; {nearest(section, SECTIONS)}")
        return section, option
    keys = {
        section: set(schema(section, options)) - {"name"}
        for section, options in sections.items()
        if section not in OPEN
    }
    homes = [section for section, allowed in keys.items() if key in allowed]
    if len(homes) == 1:
        return homes[0], key
    if homes:
        raise ConfigError(f"option {key!r} is ambiguous; say " + " or ".join(f"{section}.{key}" for section in homes))
    chosen = ", ".join(f"{section} {options['name']}" for section, options in sections.items() if "name" in options)
    everything = {*NAMED, *(option for allowed in keys.values() for option in allowed)}
    raise ConfigError(f"unknown option {key!r} for {chosen}; {_elsewhere(key) or nearest(key, everything)}")


def _unfolded(section: str, options: Options, allowed: dict[str, tuple[Any, Any]]) -> Options:
    """The options with those that hold parts as lists of validated tables; "parts.uniform.negatives" is put in them."""
    plain = dict(options)
    for option in (key for key, (kind, _) in allowed.items() if kind == NESTED.get(section)):
        place, given = f"{section}.{option}", plain.get(option)
        if isinstance(given, str):
            given = [name.strip() for name in given.split(",") if name.strip()]
        entries = [] if given is None else given if isinstance(given, list | tuple) else [given]
        tables = [_table(place, entry) for entry in entries]
        for key in (key for key in options if key.startswith(f"{option}.")):
            part, _, rest = key.removeprefix(f"{option}.").partition(".")
            tables[_which(place, part, tables)][rest or "name"] = plain.pop(key)
        if tables:
            plain[option] = [validated(section, table) for table in tables]
    return plain


def _table(place: str, entry: Any) -> Options:
    """A part within a part, given by its name or as a table with it."""
    if isinstance(entry, str):
        return {"name": entry}
    if isinstance(entry, dict) and "name" in entry:
        return dict(entry)
    raise ConfigError(f'{place} holds names, or tables as {{name = "uniform", negatives = 8}}; got {entry!r}')


def _which(place: str, part: str, tables: list[Options]) -> int:
    """The place of a part among its siblings, said by its number from 0 or by its name."""
    if part.isdigit() and int(part) < len(tables):
        return int(part)
    found = [number for number, table in enumerate(tables) if table["name"] == part]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{number} {table['name']}" for number, table in enumerate(tables)) or "none"
    remedy = f"say which: {place}.{found[0]}" if found else f"name it in {place} too"
    raise ConfigError(f"{place}.{part} is not one of the parts ({names}); {remedy}")


def _elsewhere(key: str) -> str:
    """Which parts that were not chosen have such an option; empty where none has."""
    parts = (
        f"{section} {name}"
        for section in catalogue.PACKAGES
        for name in catalogue.names(section)
        if key in catalogue.options_of(catalogue.find(section, name))
    )
    found = ", ".join(parts)
    return f"it is an option of: {found}" if found else ""


def _toml_key(key: str) -> str:
    """A key as TOML wants it: quoted where it is more than ASCII letters, digits, - and _."""
    plain = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain else json.dumps(key, ensure_ascii=False)


def _toml_value(value: Any) -> str:
    """A value as TOML writes it on one line; tables within lists without what is not set."""
    if isinstance(value, dict):
        pairs = [f"{_toml_key(key)} = {_toml_value(entry)}" for key, entry in value.items() if entry is not None]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(entry) for entry in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _type(parameter: Parameter) -> Any:
    return parameter.annotation if parameter.annotation is not Parameter.empty else type(parameter.default)


def _coerce(section: str, key: str, value: Any, kind: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if kind == NESTED.get(section):
        return value  # its tables have been validated one by one
    place = f"{section}.{key}"
    if isinstance(value, str) and "list" in str(kind):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        name = getattr(kind, "__name__", str(kind))
        expected = "" if name == "Literal" else f"; expected {name}"  # the reason lists what is allowed
        raise ConfigError(f"{place} = {value!r}: {reason}{expected}") from error

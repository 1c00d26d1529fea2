"""Names to parts: a name in the library, a file, or module:object. The folder listing is the catalogue."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pictokg.errors import ConfigError, nearest

PACKAGES = {
    # section of a configuration: (package, base class whose final subclass the file holds; None: a function `build`)
    "model": ("models", None),
    "scoring": ("scoring", "ScoringFunction"),
    "sampler": ("sampling", "Sampler"),
    "loss": ("losses", "Loss"),
    "regulariser": ("regularisers", "Regulariser"),
}
SHARED = {"base", "similarity", "distance", "views"}  # files that serve the parts beside them


def names(section: str) -> list[str]:
    """The parts that the library has in a section, by file name.

    >>> names("regulariser")
    ['lp', 'n3']
    """
    folder = Path(__file__).parent / PACKAGES[section][0]
    found = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    return sorted(found - SHARED)


def find(section: str, name: str) -> Callable[..., Any]:
    """The builder of a part: its class, or for models the function `build`.

    Args:
        section: "model", "scoring", "sampler", "loss" or "regulariser".
        name: a name of the library, a path ending in .py, or "module:object".
    """
    if ":" in name and not name.endswith(".py"):
        path, attribute = name.split(":", 1)
        return _attribute(_import(path, name), attribute, name)
    module = _load_file(Path(name)) if name.endswith(".py") else _library(section, name)
    return _part(section, module, name)


def module_of(section: str, name: str) -> ModuleType:
    """The module that defines a part, for the constants beside it."""
    module = inspect.getmodule(find(section, name))
    assert module is not None, "parts are defined in modules"
    return module


def options_of(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a part: every parameter with a default, its type resolved.

    >>> list(options_of(find("loss", "self_adversarial")))
    ['margin', 'temperature']
    """
    parameters = inspect.signature(builder).parameters
    namespace = vars(sys.modules[builder.__module__])
    return {
        name: parameter.replace(annotation=_resolved(parameter.annotation, namespace))
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }


def _resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    """A type from the text that `from __future__ import annotations` made of it."""
    return eval(annotation, namespace) if isinstance(annotation, str) else annotation


def _library(section: str, name: str) -> ModuleType:
    known = names(section)
    if name not in known:
        elsewhere = [other for other in PACKAGES if name in names(other)]
        hint = f"there is a {elsewhere[0]} of that name" if elsewhere else nearest(name, known)
        raise ConfigError(f"there is no {section} {name!r}; {hint}")
    return importlib.import_module(f"pictokg.{PACKAGES[section][0]}.{name}")


def _import(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"cannot import {module!r} of {name!r}: {error}") from error


def _attribute(module: ModuleType, attribute: str, name: str) -> Callable[..., Any]:
    if not hasattr(module, attribute):
        raise ConfigError(f"{name!r}: the module has no {attribute!r}; {nearest(attribute, vars(module))}")
    return getattr(module, attribute)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"no file {path}; give a name of the library, a path to a .py file, or module:object")
    specification = importlib.util.spec_from_file_location(f"pictokg_user_{path.stem}", path)
    assert specification is not None, "a .py file has a loader"
    assert specification.loader is not None, "likewise"
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # so that inspect finds it
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path}, line {_line(error, path)}: {type(error).__name__}: {error}") from error
    return module


def _line(error: Exception, path: Path) -> int:
    """The last line of a file that ran before an error, or the one that cannot be read."""
    frames = traceback.extract_tb(error.__traceback__)
    ran = [frame.lineno or 0 for frame in frames if Path(frame.filename) == path]
    return ran[-1] if ran else getattr(error, "lineno", None) or 1


def _part(section: str, module: ModuleType, name: str) -> Callable[..., Any]:
    base = PACKAGES[section][1]
    if base is None:
        return _attribute(module, "build", name)
    parts = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and base in {ancestor.__name__ for ancestor in member.__mro__[1:]}
    ]
    if len(parts) != 1:
        found = ", ".join(part.__name__ for part in parts) or "none"
        raise ConfigError(f"{section} {name!r}: its file should define one subclass of {base}; found {found}")
    return parts[0]

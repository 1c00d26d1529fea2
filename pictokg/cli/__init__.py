"""The command line: one file a verb. Errors people can mend go to stderr in a few lines, with exit code 2."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

INTERRUPTED = 130


def main() -> None:
    """Run the program `pictokg`."""
    # Idle OpenMP threads that spin take the core another process needs; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from pictokg.cli.app import app
    from pictokg.errors import PictoKGError

    warnings.showwarning = _show_warning  # type: ignore[assignment]  # place takes the arguments that are not shown
    try:
        app()
    except PictoKGError as error:
        _fail(str(error))
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # so typer ends on Ctrl-C, and says nothing
            print("interrupted; go on with train --resume RUN, or with the same command", file=sys.stderr)
        raise
    except OSError as error:
        _fail(f"{error.filename or 'the operating system'}: {error.strerror or error}")


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _show_warning(message: Warning | str, category: type[Warning], *place: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)

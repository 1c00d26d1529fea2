"""Logs as lines of JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("pictokg.serving")


class JsonLines(logging.Formatter):
    r"""Writes a record as one line of JSON; what a client sent cannot break the line.

    >>> record = logging.LogRecord("name", logging.INFO, "", 0, "a\nb", (), None)
    >>> json.loads(JsonLines().format(record))["event"]
    'a\nb'
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, event, then the fields of a request, then an error's traceback."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configuration(level: str = "INFO") -> dict[str, Any]:
    """What `logging.config.dictConfig` takes: everything as lines of JSON on stderr."""
    loggers = {name: {"level": level} for name in ("uvicorn", "uvicorn.error", LOGGER.name)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "pictokg.serving.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": loggers,
    }

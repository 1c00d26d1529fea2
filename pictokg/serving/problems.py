"""Errors of the service as problem details (RFC 9457), with the nearest names where a name is wrong."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pictokg.errors import PictoKGError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

KIND = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, and what to do."""

    title: str
    status: int
    detail: str
    nearest: list[str] = Field(default=[], description="Names that were perhaps meant.")


class UnknownNameError(Exception):
    """A name that the graph does not have."""

    def __init__(self, kind: str, name: str, nearest: list[str]) -> None:
        super().__init__(f"there is no {kind} named {shown(name)}")
        self.nearest = nearest


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare for OpenAPI the problems that a route may answer with, beside those that any may."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": {KIND: schema}}
        for status in sorted({400, 401, 403, 408, 413, 422, 429, 503, 504, *statuses})
    }


def problem(status: int, detail: str, nearest: list[str] | None = None) -> tuple[int, bytes]:
    """Write a problem as JSON; text that is no valid Unicode is escaped."""
    title = HTTPStatus(status).phrase
    made = {"title": title, "status": status, "detail": shown(detail, quote=False), "nearest": nearest or []}
    return status, json.dumps(made, ensure_ascii=True).encode("ascii")


def shown(text: str, *, quote: bool = True, at_most: int = 300) -> str:
    r"""Make a text of a client fit to be repeated: short, and without what no encoding can write.

    >>> shown("a\ud800b"), shown("x" * 5, at_most=3)
    ("'a\\\\ud800b'", "'xxx…'")
    """
    short = text if len(text) <= at_most else f"{text[:at_most]}…"
    clean = short.encode("utf-8", "backslashreplace").decode("utf-8")
    return repr(clean) if quote else clean


def install(app: FastAPI) -> None:
    """Make every error of an app a problem."""
    app.add_exception_handler(UnknownNameError, _unknown_name)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(PictoKGError, _ours)


async def _unknown_name(request: Request, error: Exception) -> Response:
    assert isinstance(error, UnknownNameError), "installed for it"
    hint = f"; perhaps {shown(error.nearest[0])}" if error.nearest else ""
    status = 404 if request.method in ("GET", "HEAD") else 422
    return respond(*problem(status, f"{error}{hint}", error.nearest))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "installed for it"
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    more = len(error.errors()) - 1
    detail = f"{shown(place, quote=False)}: {first['msg']}" + (f" (and {more} more)" if more else "")
    return respond(*problem(422, detail))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "installed for it"
    return respond(*problem(error.status_code, str(error.detail)), headers=dict(error.headers or {}))


async def _ours(request: Request, error: Exception) -> Response:
    return respond(*problem(422, str(error)))


def respond(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    """A response with a problem."""
    return Response(body, status, headers, media_type=KIND)

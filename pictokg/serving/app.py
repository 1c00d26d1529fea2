"""The service as one ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from pictokg import __version__
from pictokg.serving import answers, completions, health, images, lookups, newcomers, problems, reasons
from pictokg.serving.gate import Gate
from pictokg.serving.metrics import Metrics
from pictokg.serving.served import Service

PAGE = Path(__file__).parent / "page"
ABOUT = "Answers, reasons and new facts from a knowledge graph whose entities have pictures and words. Read-only."


def make_app(service: Service, *, token: str | None = None, hosts: Collection[str] = ()) -> Gate:
    """Put the service together.

    Args:
        service: the runs and their limits.
        token: what clients must send as `Authorization: Bearer`; None asks for none.
        hosts: names that the Host header may give; empty allows any.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    # No pages of documentation: they would load scripts from elsewhere. /openapi.json says it all.
    app = FastAPI(
        title="PictoKG", version=__version__, description=ABOUT, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.service, app.state.metrics = service, Metrics()
    problems.install(app)
    for part in (answers, completions, reasons, lookups, images, newcomers, health):
        app.include_router(part.router)
    app.add_api_route("/", _index, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return Gate(app, service.limits, app.state.metrics, token, frozenset(hosts))


async def _index() -> FileResponse:
    return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

"""/health and /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pictokg import __version__
from pictokg.serving import schema
from pictokg.serving.problems import responses
from pictokg.serving.served import Served

router = APIRouter(tags=["service"])
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health", responses=responses())
async def health(request: Request) -> schema.Health:
    """Say that the service is there, and what it serves."""
    runs = request.app.state.service.runs.values()
    return schema.Health(version=__version__, runs=[_run(run) for run in runs])


@router.get(
    "/metrics",
    response_class=Response,
    responses={**responses(), 200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
async def metrics(request: Request) -> Response:
    """Give the counters in the format of Prometheus."""
    return Response(request.app.state.metrics.text(), media_type=PROMETHEUS)


def _run(run: Served) -> schema.RunOut:
    graph = run.data.graph
    return schema.RunOut(
        name=run.name,
        model=run.model.name or type(run.model.scoring).__name__,
        data=run.data.name,
        entities=graph.num_entities,
        relations=graph.num_relations,
        facts=len(run.facts.triples),
        modalities=run.modalities,
        calibrated=run.calibrated,
    )

"""/complete: new facts, the surest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from starlette.exceptions import HTTPException

from pictokg.prediction.completion import Fact
from pictokg.serving import schema
from pictokg.serving.computing import compute_slowly
from pictokg.serving.lookups import relation_thing, thing
from pictokg.serving.problems import responses
from pictokg.serving.served import Served, finite

router = APIRouter(tags=["answers"])


@router.get("/complete", responses=responses(404))
async def complete(request: Request, asked: Annotated[schema.AskedFacts, Query()]) -> schema.FactsOut:
    """Propose new facts of relations, of entities, or of the whole graph."""
    return await _complete(request, asked)


@router.post("/complete", responses=responses())
async def complete_posted(request: Request, asked: Annotated[schema.AskedFacts, Body()]) -> schema.FactsOut:
    """Propose new facts, for more names than go into an address."""
    return await _complete(request, asked)


async def _complete(request: Request, asked: schema.AskedFacts) -> schema.FactsOut:
    run: Served = request.app.state.service.run(asked.run)
    for name in asked.entity:
        run.entity(name)
    for name in asked.relation:
        run.relation(name)
    if asked.min_probability is not None and not run.calibrated:
        raise HTTPException(422, "this run is not calibrated, so there is no probability to compare with")

    def work() -> schema.FactsOut:
        found = run.proposals(tuple(asked.relation), tuple(asked.entity), asked.per_query)
        least = asked.min_probability or 0.0
        kept = [fact for fact in found if least == 0 or (fact.probability or 0.0) >= least]
        return schema.FactsOut(facts=[_shown(run, fact) for fact in kept[: asked.limit]])

    return await compute_slowly(request, work)


def _shown(run: Served, fact: Fact) -> schema.NewFactOut:
    return schema.NewFactOut(
        head=thing(run, fact.head),
        relation=relation_thing(run, run.data.graph.relations.id(fact.relation)),
        tail=thing(run, fact.tail),
        score=finite(fact.score),
        probability=finite(fact.probability),
    )

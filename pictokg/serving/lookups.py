"""/search, /entities, /relations: what the graph says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from pictokg.graph.query import Side
from pictokg.serving import schema
from pictokg.serving.computing import compute
from pictokg.serving.problems import responses
from pictokg.serving.served import Served

router = APIRouter(tags=["graph"])
SHOWN_LETTERS, FACTS_SHOWN = 160, 60


@router.get("/search", responses=responses(404))
async def search(request: Request, asked: Annotated[schema.Searched, Query()]) -> schema.FoundMany:
    """Find entities by any part of their name or label."""
    run = request.app.state.service.run(asked.run)
    places = await compute(request, lambda: run.names.search(asked.q, asked.limit))
    return schema.FoundMany(entities=[found(run, place) for place in places])


@router.get("/entities", responses=responses(404))
async def entities(request: Request, asked: Annotated[schema.Paged, Query()]) -> schema.Entities:
    """List entities in the order of the graph, or give the cards of those that are named."""
    run = request.app.state.service.run(asked.run)
    total = run.data.graph.num_entities
    if asked.name:
        places = [run.entity(name) for name in asked.name]
        return schema.Entities(total=total, cards=[card(run, place) for place in places])
    listed = range(asked.offset, min(asked.offset + asked.limit, total))
    return schema.Entities(total=total, entities=[found(run, place) for place in listed])


@router.get("/relations", responses=responses(404))
async def relations(request: Request, asked: Annotated[schema.Asked, Query()]) -> schema.Relations:
    """List the relations, those with the most facts first."""
    run = request.app.state.service.run(asked.run)
    made = []
    for place, shape in enumerate(run.facts.relations):
        name = run.data.graph.relations.name(place)
        made.append(
            schema.RelationOut(
                name=name, label=run.relation_label(name), facts=shape.facts, heads=shape.heads, tails=shape.tails
            )
        )
    return schema.Relations(relations=sorted(made, key=lambda relation: -relation.facts))


def thing(run: Served, name: str) -> schema.Thing:
    """An entity as lists show it."""
    return schema.Thing(name=name, label=run.data.label(name), pictures=len(run.data.pictures.get(name, ())))


def relation_thing(run: Served, place: int) -> schema.Thing:
    """A relation as lists show it."""
    name = run.data.graph.relations.name(place)
    return schema.Thing(name=name, label=run.relation_label(name))


def found(run: Served, place: int) -> schema.Found:
    """An entity with the beginning of its words."""
    name = run.data.graph.entities.name(place)
    words = run.data.descriptions.get(name, "")
    short = words if len(words) <= SHOWN_LETTERS else words[:SHOWN_LETTERS].rsplit(" ", 1)[0] + " …"
    facts = int(run.facts.degree[place])
    return schema.Found(**thing(run, name).model_dump(), description=short, facts=facts)


def card(run: Served, place: int) -> schema.Card:
    """An entity with all its words, its facts and what can be asked of it."""
    shown = {side: run.facts.of(place, side, FACTS_SHOWN) for side in (Side.HEAD, Side.TAIL)}
    as_head, as_tail = (run.facts.relations_of(place, side).tolist() for side in (Side.HEAD, Side.TAIL))
    asked = [schema.Open(relation=relation_thing(run, relation), side="tail") for relation in as_head]
    asked += [schema.Open(relation=relation_thing(run, relation), side="head") for relation in as_tail]
    brief = found(run, place)
    return schema.Card(
        **{**brief.model_dump(), "description": run.data.descriptions.get(brief.name, "")},
        as_head=facts(run, shown[Side.HEAD]),
        as_tail=facts(run, shown[Side.TAIL]),
        as_head_total=run.facts.count(place, Side.HEAD),
        as_tail_total=run.facts.count(place, Side.TAIL),
        questions=asked,
    )


def facts(run: Served, triples: np.ndarray | Sequence[Sequence[int]]) -> list[schema.FactOut]:
    """Triples of ids with names and labels."""
    name = run.data.graph.entities.name
    return [
        schema.FactOut(head=thing(run, name(head)), relation=relation_thing(run, relation), tail=thing(run, name(tail)))
        for head, relation, tail in np.asarray(triples).tolist()
    ]

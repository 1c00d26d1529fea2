"""/explain: why a fact has its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from pictokg.prediction.reasons import explain
from pictokg.serving import schema
from pictokg.serving.computing import compute_slowly
from pictokg.serving.problems import responses
from pictokg.serving.served import Served

router = APIRouter(tags=["answers"])


@router.get("/explain", responses=responses(404))
async def explain_one(request: Request, asked: Annotated[schema.AskedWhy, Query()]) -> schema.Reasons:
    """Explain one fact, known or not."""
    return await _explain(request, asked)


@router.post("/explain", responses=responses())
async def explain_posted(request: Request, asked: Annotated[schema.AskedWhy, Body()]) -> schema.Reasons:
    """Explain one fact, for names that do not go well into an address."""
    return await _explain(request, asked)


async def _explain(request: Request, asked: schema.AskedWhy) -> schema.Reasons:
    run: Served = request.app.state.service.run(asked.run)
    run.check(asked.head, asked.relation, asked.tail)

    def work() -> schema.Reasons:
        triple = (asked.head, asked.relation, asked.tail)
        attention = run.sampler_attention
        found = explain(run.predictor, triple, side=asked.side, facts=asked.facts, sampler=attention).as_json()
        for side in ("asked", "given"):
            found[side] = _with_pictures(run, found[side])
        labels = {
            "head": run.data.label(asked.head),
            "relation": run.relation_label(asked.relation),
            "tail": run.data.label(asked.tail),
        }
        return schema.Reasons.model_validate(_finite({**found, "labels": labels}))

    return await compute_slowly(request, work)


def _with_pictures(run: Served, parts: dict[str, Any]) -> dict[str, Any]:
    """Say by number which picture a contribution or a slot is about; /images gives it by this number."""
    paths = run.data.pictures.get(parts["entity"], ())
    contributions = [{**one, **_place(one["modality"], one["key"], paths)} for one in parts["contributions"]]
    attention = [
        {**one, "slots": [{**slot, **_place(one["modality"], slot["key"], paths)} for slot in one["slots"]]}
        for one in parts["sampler_attention"]
    ]
    return {**parts, "pictures": len(paths), "contributions": contributions, "sampler_attention": attention}


def _place(modality: str, key: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Which picture a key names, by number, or which words: a path is nobody's business."""
    return {"key": "", "picture": picture_number(key, paths)} if modality == "image" else {"key": key, "picture": None}


def picture_number(key: str, paths: Sequence[Path]) -> int | None:
    """The place of the picture file that a feature row was made from; None where no file has that key.

    >>> picture_number("images/a/2.png#patch 3", [Path("/data/images/a/1.png"), Path("/data/images/a/2.png")])
    1
    """
    for wanted in (key, key.rpartition("#")[0]):
        for number, path in enumerate(paths):
            if wanted and (path.as_posix() == wanted or path.as_posix().endswith(f"/{wanted}")):
                return number
    return None


def _finite(value: Any) -> Any:
    """The same with 0 for what is no finite number: bars and heat have no other place for it."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return 0.0 if isinstance(value, float) and not math.isfinite(value) else value

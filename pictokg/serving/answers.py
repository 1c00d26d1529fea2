"""/answers: questions, one or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from pictokg.prediction.predictor import Answer
from pictokg.serving import schema
from pictokg.serving.asking import ask
from pictokg.serving.computing import compute
from pictokg.serving.problems import responses
from pictokg.serving.served import Served, finite

router = APIRouter(tags=["answers"])


@router.get("/answers", response_model=schema.Answered, responses=responses(404))
async def answer(request: Request, asked: Annotated[schema.AskedOne, Query()]) -> Response:
    """Answer one question: give two of head, relation and tail."""
    try:
        question = schema.Question(head=asked.head, relation=asked.relation, tail=asked.tail)
    except ValidationError as error:
        raise HTTPException(422, "give two of head, relation and tail; the third is answered") from error
    many = schema.AskedMany.model_construct(
        questions=[question], run=asked.run, k=asked.k, new_only=asked.new_only, fitting=asked.fitting
    )
    return await _answer(request, many, lambda answered: answered[0])


@router.post("/answers", response_model=schema.AnsweredMany, responses=responses())
async def answer_many(request: Request, asked: Annotated[schema.AskedMany, Body()]) -> Response:
    """Answer many questions."""
    return await _answer(request, asked, lambda answered: schema.AnsweredMany.model_construct(questions=answered))


async def _answer(
    request: Request, asked: schema.AskedMany, shape: Callable[[list[schema.Answered]], BaseModel]
) -> Response:
    """Answer and write JSON, both beside the event loop; the models are our own, and are not checked again."""
    run: Served = request.app.state.service.run(asked.run)
    for question in asked.questions:
        run.check(*question.slots)
    request.app.state.metrics.questions.labels(run.name).inc(len(asked.questions))

    def work() -> bytes:
        answered = [
            schema.Answered.model_construct(
                head=question.head,
                relation=question.relation,
                tail=question.tail,
                answers=[shown(run, found, question.relation is None) for found in answers],
            )
            for question, answers in zip(asked.questions, ask(run, asked), strict=True)
        ]
        return shape(answered).model_dump_json().encode()

    return Response(await compute(request, work), media_type="application/json")


def shown(run: Served, found: Answer, relation: bool = False) -> schema.AnswerOut:
    """An answer as JSON gives it."""
    return schema.AnswerOut.model_construct(
        name=found.name,
        label=run.relation_label(found.name) if relation else found.label,
        pictures=0 if relation else len(run.data.pictures.get(found.name, ())),
        score=finite(found.score),
        probability=finite(found.probability),
        known=found.known,
    )

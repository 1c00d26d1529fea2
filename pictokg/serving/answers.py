"""/answers: questions, one or many."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from pictokg.prediction.predictor import Answer
from pictokg.serving import schema
from pictokg.serving.asking import ask
from pictokg.serving.computing import compute
from pictokg.serving.problems import responses
from pictokg.serving.served import Served, finite

router = APIRouter(tags=["answers"])


@router.get("/answers", responses=responses(404))
async def answer(request: Request, asked: Annotated[schema.AskedOne, Query()]) -> schema.Answered:
    """Answer one question: give two of head, relation and tail."""
    try:
        question = schema.Question(head=asked.head, relation=asked.relation, tail=asked.tail)
    except ValidationError as error:
        raise HTTPException(422, "give two of head, relation and tail; the third is answered") from error
    how = asked.model_dump(include={"run", "k", "new_only", "fitting"})
    many = schema.AskedMany.model_construct(questions=[question], **how)
    return (await _answer(request, many))[0]


@router.post("/answers", responses=responses())
async def answer_many(request: Request, asked: Annotated[schema.AskedMany, Body()]) -> schema.AnsweredMany:
    """Answer many questions."""
    return schema.AnsweredMany(questions=await _answer(request, asked))


async def _answer(request: Request, asked: schema.AskedMany) -> list[schema.Answered]:
    run: Served = request.app.state.service.run(asked.run)
    for question in asked.questions:
        run.check(*question.slots)
    request.app.state.metrics.questions.labels(run.name).inc(len(asked.questions))

    def work() -> list[schema.Answered]:
        answered = ask(run, asked)
        return [
            schema.Answered.model_construct(
                head=question.head,
                relation=question.relation,
                tail=question.tail,
                answers=[shown(run, found, question.relation is None) for found in answers],
            )
            for question, answers in zip(asked.questions, answered, strict=True)
        ]

    return await compute(request, work)


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

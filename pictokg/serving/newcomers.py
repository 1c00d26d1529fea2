"""/newcomers: answers about an entity that nobody has seen, from its pictures and words; nothing of it is kept."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from pictokg.prediction.newcomer import Fact, Newcomer
from pictokg.serving import limits, schema
from pictokg.serving.answers import shown
from pictokg.serving.computing import compute_slowly
from pictokg.serving.images import FORMATS
from pictokg.serving.lookups import relation_thing
from pictokg.serving.problems import responses
from pictokg.serving.served import Served

if TYPE_CHECKING:
    from PIL.Image import Image

router = APIRouter(tags=["answers"])
NAME = "the new entity"
Words = Annotated[str, Form(max_length=limits.TEXT_LETTERS)]
_FACTS = TypeAdapter(list[schema.NewFact])
_QUESTIONS = TypeAdapter(list[schema.NewQuestion])
_OVERVIEW = 40  # relations that are asked about where none is named


@router.post("/newcomers", responses=responses())
async def newcomer(
    request: Request,
    pictures: Annotated[list[UploadFile], File(max_length=limits.PICTURES, description="PNG, JPEG, GIF, WebP …")] = [],  # noqa: B006 - FastAPI reads it, nobody writes it
    label: Words = "",
    text: Words = "",
    facts: Annotated[Words, Form(description='JSON: [{"relation": …, "entity": …, "as_head": true}]')] = "[]",
    questions: Annotated[Words, Form(description='JSON: [{"relation": …, "side": "tail"}]; none: an overview')] = "[]",
    options: Annotated[Words, Form(description='JSON: {"run": …, "k": 5}')] = "{}",
) -> schema.NewAnswered:
    """Answer questions about an entity that is given by pictures and words, and by facts where there are any."""
    told, asked, chosen = _read(_FACTS, "facts", facts), _read(_QUESTIONS, "questions", questions), _options(options)
    if len(told) > limits.FACTS or len(asked) > limits.BATCH:
        raise HTTPException(422, f"give at most {limits.FACTS} facts and {limits.BATCH} questions")
    run: Served = request.app.state.service.run(chosen.run)
    for fact in told:
        run.check(fact.entity, fact.relation, None)
    for question in asked:
        run.relation(question.relation)
    contents = [await picture.read() for picture in pictures if picture.size]

    def work() -> schema.NewAnswered:
        images = [decode(content, number) for number, content in enumerate(contents, start=1)]
        known = [Fact(fact.relation, fact.entity, fact.as_head) for fact in told]
        name = NAME if NAME not in run.data.graph.entities else NAME + " "
        new = Newcomer(name, label.strip(), text.strip(), images, known)
        return _answer(run, new, asked, chosen.k)

    return await compute_slowly(request, work)


def _answer(run: Served, new: Newcomer, asked: list[schema.NewQuestion], k: int) -> schema.NewAnswered:
    predictor = run.reception.predictor(run.predictor, [new])
    relations = run.data.graph.relations
    overview = not asked
    if overview:
        usual = sorted(range(len(relations)), key=lambda place: -run.facts.relations[place].facts)[:_OVERVIEW]
        asked = [schema.NewQuestion(relation=relations.name(place)) for place in usual]
    slots = [(new.name, one.relation, None) if one.side == "tail" else (None, one.relation, new.name) for one in asked]
    answered = predictor.answers(slots, k, types=run.longer_types(predictor.data.graph) if overview else None)
    made = [
        schema.NewAnswer(
            relation=relation_thing(run, relations.id(question.relation)),
            side=question.side,
            answers=[shown(run, answer) for answer in answers if answer.name != new.name],
        )
        for question, answers in zip(asked, answered, strict=True)
    ]
    if overview:  # what is surest first
        made = sorted((one for one in made if one.answers), key=lambda one: -(one.answers[0].probability or 0.0))
    return schema.NewAnswered(questions=made)


def decode(content: bytes, number: int) -> Image:
    """Decode an uploaded picture of bounded size; HTTPException where it is none."""
    from PIL import Image as Pictures

    try:
        with Pictures.open(BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > limits.PIXELS:  # known before a pixel is decoded
                raise HTTPException(422, f"picture {number} has more than {limits.PIXELS:,} pixels; send a smaller one")
            picture.load()
            return picture.copy()
    except (OSError, SyntaxError, ValueError, TypeError, OverflowError, Pictures.DecompressionBombError) as error:
        raise HTTPException(422, f"picture {number} cannot be decoded; send PNG, JPEG, GIF or WebP") from error


def _read(kind: TypeAdapter, field: str, given: str) -> list[Any]:
    try:
        return kind.validate_json(given)
    except ValidationError as error:
        raise HTTPException(422, f"{field}: {error.errors()[0]['msg']}") from error


def _options(given: str) -> schema.NewOptions:
    try:
        return schema.NewOptions.model_validate_json(given)
    except ValidationError as error:
        raise HTTPException(422, f"options: {error.errors()[0]['msg']}") from error

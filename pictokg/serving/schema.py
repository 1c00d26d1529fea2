"""What requests and answers look like; OpenAPI is made of these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pictokg.serving import limits

Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.NAME_LETTERS)]
RunName = Annotated[Name | None, Field(description="Which run answers; the first that is served where none is named.")]
Count = Annotated[int, Field(ge=1, le=limits.ANSWERS)]


class Asked(BaseModel):
    """A request; a field that it does not have is an error, because it is a slip."""

    model_config = ConfigDict(extra="forbid")
    run: RunName = None


class Question(BaseModel):
    """A triple with one slot left out: the slot that is asked for."""

    model_config = ConfigDict(extra="forbid")
    head: Name | None = None
    relation: Name | None = None
    tail: Name | None = None

    @model_validator(mode="after")
    def _one_open_slot(self) -> Question:
        if (self.head, self.relation, self.tail).count(None) != 1:
            raise ValueError("give two of head, relation and tail; the third is answered")
        return self

    @property
    def slots(self) -> tuple[str | None, str | None, str | None]:
        """Head, relation, tail; None in the slot asked for."""
        return self.head, self.relation, self.tail


class AskedOne(Asked):
    """One question."""

    head: Name | None = None
    relation: Name | None = None
    tail: Name | None = None
    k: Count = 10
    new_only: Annotated[bool, Field(description="Leave out what the graph knows.")] = False


class AskedMany(Asked):
    """Many questions at once."""

    questions: Annotated[list[Question], Field(min_length=1, max_length=limits.BATCH)]
    k: Count = 10
    new_only: Annotated[bool, Field(description="Leave out what the graph knows.")] = False


class Thing(BaseModel):
    """An entity or a relation, as lists show it."""

    name: str
    label: str
    pictures: Annotated[int, Field(description="How many pictures it has; /images gives them by number.")] = 0


class AnswerOut(Thing):
    """An answer; a score is null where the model gave no finite number."""

    score: float | None
    probability: Annotated[float | None, Field(description="null where the run is not calibrated")]
    known: Annotated[bool, Field(description="Whether the graph has the fact already.")]


class Answered(Question):
    """A question and its answers, the best first."""

    answers: list[AnswerOut]


class AnsweredMany(BaseModel):
    """Questions in the order in which they were asked."""

    questions: list[Answered]


class Searched(Asked):
    """Words to search entities by."""

    q: Annotated[str, StringConstraints(max_length=200), Field(description="Any part of a name or label.")]
    limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 10


class Found(Thing):
    """An entity that was found or listed."""

    description: Annotated[str, Field(description="The beginning of its words.")]
    facts: Annotated[int, Field(description="How many facts the graph has of it.")]


class FoundMany(BaseModel):
    """Entities in order, and how many there are in all where that is known."""

    entities: list[Found]
    total: int | None = None


class Paged(Asked):
    """A page of a list, or entities by name with all that is known of them."""

    name: Annotated[list[Name], Field(max_length=32, description="Give the cards of these, and no list.")] = []
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50


class FactOut(BaseModel):
    """A triple with what people call its parts."""

    head: Thing
    relation: Thing
    tail: Thing


class Open(BaseModel):
    """A question that entities like this one have an answer to."""

    relation: Thing
    side: Literal["head", "tail"]


class Card(Found):
    """An entity with all its words and a bounded number of its facts."""

    as_head: list[FactOut]
    as_tail: list[FactOut]
    as_head_total: int
    as_tail_total: int
    questions: Annotated[list[Open], Field(description="Relations it has facts of, and the side to ask for.")]


class Entities(BaseModel):
    """A page of entities, or cards."""

    total: int
    entities: list[Found] = []
    cards: list[Card] = []


class RelationOut(Thing):
    """A relation and its shape."""

    facts: int
    heads: int
    tails: int


class Relations(BaseModel):
    """All relations, those with the most facts first."""

    relations: list[RelationOut]


class PictureAsked(Asked):
    """A picture of an entity, by number."""

    entity: Name
    number: Annotated[int, Field(ge=0, le=100_000)] = 0
    size: Annotated[Literal["96", "256", "768"], Field(description="Longest side in pixels at most.")] = "256"


class RunOut(BaseModel):
    """A run that is being served."""

    name: str
    model: str
    data: str
    entities: int
    relations: int
    facts: int
    modalities: list[str]
    calibrated: bool


class Health(BaseModel):
    """That the service is there, and what it serves."""

    status: Literal["ok"] = "ok"
    version: str
    runs: list[RunOut]

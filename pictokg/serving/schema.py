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
    fitting: Annotated[bool, Field(description="Leave out what was never seen in that slot of the relation.")] = False


class AskedMany(Asked):
    """Many questions at once."""

    questions: Annotated[list[Question], Field(min_length=1, max_length=limits.BATCH)]
    k: Count = 10
    new_only: Annotated[bool, Field(description="Leave out what the graph knows.")] = False
    fitting: Annotated[bool, Field(description="Leave out what was never seen in that slot of the relation.")] = False


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


class NewFact(BaseModel):
    """A fact of a newcomer: (newcomer, relation, entity), or the other way round."""

    model_config = ConfigDict(extra="forbid")
    relation: Name
    entity: Name
    as_head: bool = True


class NewQuestion(BaseModel):
    """A relation of a newcomer, and the side that is asked for."""

    model_config = ConfigDict(extra="forbid")
    relation: Name
    side: Literal["head", "tail"] = "tail"


class NewOptions(Asked):
    """Which run answers, and with how many answers a question."""

    k: Count = 5


class NewAnswer(BaseModel):
    """The answers to one question about a newcomer."""

    relation: Thing
    side: Literal["head", "tail"]
    answers: list[AnswerOut]


class NewAnswered(BaseModel):
    """Questions in their order; in an overview, the surest first."""

    questions: list[NewAnswer]


class AskedWhy(Asked):
    """A fact, and which of its entities was asked for."""

    head: Name
    relation: Name
    tail: Name
    side: Literal["head", "tail"] = "tail"
    facts: Annotated[int, Field(ge=0, le=20, description="Nearest training facts to list.")] = 5


class PatchOut(BaseModel):
    """A window of a picture, in fractions of it, and its share of what the picture's removal costs."""

    top: float
    left: float
    height: float
    width: float
    value: float


class ContributionOut(BaseModel):
    """What one thing that is known of an entity adds to the score."""

    modality: str
    key: str
    picture: Annotated[int | None, Field(description="Which of its pictures this is, where it is one.")]
    value: float
    share: float
    removal: float
    attention: float | None
    patches: list[PatchOut]


class SlotOut(BaseModel):
    """A feature row of an entity as the attention of the run's sampler weighed it."""

    key: str
    picture: Annotated[int | None, Field(description="Which of its pictures this is of, where it is of one.")]
    window: Annotated[
        tuple[float, float, float, float] | None, Field(description="Of the picture: top, left, height and width.")
    ]
    independent: Annotated[float, Field(description="Whatever the relation; the slots' sum to 1.")]
    guided: Annotated[float, Field(description="Under the relation, from -1 to 1.")]


class SlotAttentionOut(BaseModel):
    """How the run's sampler looked at an entity's slots of one modality, through those of another."""

    modality: str
    by: str
    slots: list[SlotOut]


class PartsOut(BaseModel):
    """How the score divides among what is known of one entity."""

    entity: str
    label: str
    role: str
    pictures: int
    baseline: float
    score: float
    difference: Annotated[float, Field(description="What the contributions sum to.")]
    method: str
    contributions: list[ContributionOut]
    sampler_attention: Annotated[
        list[SlotAttentionOut], Field(description="What training looked at; it has no part in the score.")
    ]


class NearFactOut(BaseModel):
    """A training fact like the one that is explained."""

    head: str
    head_label: str
    tail: str
    tail_label: str
    similarity: float


class Reasons(BaseModel):
    """Why a fact has its score."""

    head: str
    relation: str
    tail: str
    labels: dict[str, str]
    side: Literal["head", "tail"]
    score: float
    rank: int
    entities: int
    probability: float | None
    known: bool
    terms: dict[str, float]
    asked: PartsOut
    given: PartsOut
    facts: list[NearFactOut]
    heat: Annotated[str, Field(description="How windows of pictures were looked at, or why they were not.")]
    sampler_attention: Annotated[
        str,
        Field(description="What the attention of the run's sampler is, or why it is not shown; empty: it has none."),
    ]


class AskedFacts(Asked):
    """Where to look for new facts; nothing means the whole graph, of which the likeliest gaps are tried."""

    relation: Annotated[list[Name], Field(max_length=32)] = []
    entity: Annotated[list[Name], Field(max_length=32)] = []
    min_probability: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    per_query: Annotated[int, Field(ge=1, le=20, description="Answers a question at most.")] = 3
    limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50


class NewFactOut(FactOut):
    """A fact that the graph lacks."""

    score: float | None
    probability: float | None


class FactsOut(BaseModel):
    """New facts, the surest first."""

    facts: list[NewFactOut]

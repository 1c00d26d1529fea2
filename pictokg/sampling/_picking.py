"""What samplers that choose by score share: scores without gradients, draws by logits, REINFORCE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from pictokg.fusion.gather import gather
from pictokg.graph.query import Side
from pictokg.kernels.formulas import SIMILARITIES
from pictokg.models._factored import expect, similarity_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from pictokg.graph.query import Query
    from pictokg.models.base import Model
    from pictokg.sampling.base import Context


def distinct(encode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A look-up that encodes each distinct id of a call once."""

    def look_up(ids: Tensor) -> Tensor:
        once, place = each_once(ids)
        return gather(encode(once), place)

    return look_up


def each_once(ids: Int[Tensor, "*shape"]) -> tuple[Int[Tensor, " distinct"], Int[Tensor, "*shape"]]:
    """The distinct ids, ascending, and where each stands among them; as `unique`, without sorting.

    >>> once, place = each_once(torch.tensor([[7, 2], [2, 5]]))
    >>> once.tolist(), place.tolist()
    ([2, 5, 7], [[2, 0], [0, 1]])
    """
    there = torch.zeros(int(ids.max()) + 1 if ids.numel() else 0, dtype=torch.bool, device=ids.device)
    there[ids.reshape(-1)] = True
    return there.nonzero()[:, 0], (there.cumsum(0) - 1)[ids]


def scores_of_own(model: Model, query: Query, ids: Int[Tensor, "batch k"]) -> Float[Tensor, "batch k"]:
    """The scores of each question's own candidates, each distinct entity encoded once, by a kernel where one can."""
    encode = distinct(model.encode)
    if query.side is Side.RELATION or similarity_of(model) not in SIMILARITIES or not _plain(model.relations.weight):
        return model.score(query, ids, encode)
    from pictokg.kernels.scores import score_own

    once, place = each_once(ids)
    return score_own(expect(model, query, encode), model.encode(once), place, similarity_of(model))


def _plain(weight: Tensor) -> bool:
    """Whether kernels may compute: on the CPU, in float32."""
    return (weight.device.type, weight.dtype) == ("cpu", torch.float32) and not torch.is_autocast_enabled("cpu")


@torch.no_grad()
def plain_scores(model: Model, query: Query, ids: Int[Tensor, "batch k"]) -> Float[Tensor, "batch k"]:
    """As `plain_terms`, their weighted sum."""
    if len(model.term_names) > 1:
        return plain_terms(model, query, ids) @ model.term_weights
    was_training = model.training
    model.eval()
    scores = scores_of_own(model, query, ids).float()
    model.train(was_training)
    return scores


@torch.no_grad()
def plain_terms(model: Model, query: Query, ids: Int[Tensor, "batch k"]) -> Float[Tensor, "batch k terms"]:
    """What the model says of candidates as it stands, without dropout and without gradients, terms apart."""
    was_training = model.training
    model.eval()
    terms = model.terms(query, ids, distinct(model.encode)).float()
    model.train(was_training)
    return terms


def total(scores: Tensor) -> Float[Tensor, "batch k"]:
    """Scores (B, K), of losses that keep the terms apart (B, K, terms) the sum."""
    return scores.sum(dim=-1) if scores.dim() == 3 else scores


def uniform_noise(shape: tuple[int, ...], context: Context) -> Float[Tensor, "*shape"]:
    """Draw from [0, 1) in double precision, so that no id of a long list is out of reach."""
    generator = context.generator
    drawn = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return drawn.to(context.pool.device)


def gumbel_noise(shape: tuple[int, ...], context: Context) -> Float[Tensor, "*shape"]:
    """−ln(−ln u): the k largest of logits + noise are a draw of k without replacement (Kool et al., ICML 2019)."""
    return -(-uniform_noise(shape, context).clamp_min(1e-300).log()).log()


@dataclass(frozen=True, slots=True)
class Choice:
    """Columns (B, K) drawn with replacement, their log-probability, and weight 0 where nothing was allowed."""

    columns: Tensor
    log_probability: Tensor
    weight: Tensor


def choose(logits: Float[Tensor, "batch n"], allowed: Bool[Tensor, "batch n"], number: int, context: Context) -> Choice:
    """Draw `number` columns a row from softmax(logits) over the allowed ones."""
    possible = allowed.any(dim=1, keepdim=True)
    masked = logits.float().masked_fill((allowed | ~possible).logical_not_(), -torch.inf)
    log_probability = masked.log_softmax(dim=1)
    columns = columns_at(log_probability.detach().exp(), uniform_noise((len(logits), number), context))
    weight = possible.float().expand(-1, number)
    return Choice(columns, log_probability.gather(1, columns), weight)


def columns_at(share: Float[Tensor, "batch n"], noise: Float[Tensor, "batch k"]) -> Int[Tensor, "batch k"]:
    """Where the running sum of the shares passes `noise` times their sum: a draw in proportion to them.

    First the block of columns, then the column in it, so that not all n sums are taken in double precision.
    """
    block = 64
    blocks = pad(share, (0, -share.shape[1] % block)).unflatten(1, (-1, block))
    number, rest = _passed(blocks.sum(dim=2).double(), noise)
    inside = blocks[torch.arange(len(share), device=share.device).unsqueeze(1), number].double()
    place, _ = _passed(inside.flatten(0, 1), rest.reshape(-1, 1))
    return number * block + place.view_as(number)


def _passed(share: Float[Tensor, "batch n"], noise: Float[Tensor, "batch k"]) -> tuple[Tensor, Tensor]:
    """The column that a part `noise` of the sum falls into, and how far into it, from 0 to 1."""
    reached = share.cumsum(dim=1)
    target = noise.clamp_max(1 - 1e-15) * reached[:, -1:]  # below the sum: a column of share 0 is never passed
    columns = torch.searchsorted(reached, target, right=True).clamp_max(share.shape[1] - 1)
    own = share.gather(1, columns)
    return columns, ((target - (reached.gather(1, columns) - own)) / own).clamp(0.0, 1.0)


def reinforce(choice: Choice, advantage: Float[Tensor, "batch k"]) -> Tensor:
    """−mean of advantage · ln p(drawn), whose gradient is that of −E[reward] (Williams, Machine Learning 1992).

    Its value says nothing of how well the model does, so that is taken off: 0, and only the gradient stays.
    """
    term = choice.weight * advantage * choice.log_probability
    surrogate = -term.sum() / choice.weight.sum().clamp_min(1.0)
    return surrogate - surrogate.detach()

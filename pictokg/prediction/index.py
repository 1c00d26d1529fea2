"""Top k by an index of faiss over entity vectors, for graphs too large to scan for every question."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError, MissingExtraError
from pictokg.graph.query import Query, Side, ask
from pictokg.models._factored import expect_of_shared, shared_similarity_of, shared_vectors
from pictokg.prediction.search import Found, Scan, Search

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.known import Known
    from pictokg.models.base import Encode, Model

METRICS = {"dot": "METRIC_INNER_PRODUCT", "l2": "METRIC_L2", "l1": "METRIC_L1"}
LARGE = 100_000  # entities from which "auto" takes an index
_GRAPH_SIZE = 50_000  # entities up to which a graph (HNSW) is linked in seconds; cells (IVF) beyond
_NARROW = 8  # candidates that are fewer than one in so many entities are scanned
_BLOCK = 65_536
_SAMPLE = 100  # triples that recall is measured on, as questions of both sides
_MOST = 1024  # neighbours asked for at once
_QUESTIONS = 128  # asked at a time: the vectors of all their neighbours are gathered


def why_not_indexed(model: Model) -> str:
    """Say why the answers of a model are no nearest neighbours that an index can find; "" when they are."""
    if shared_similarity_of(model) in METRICS:
        return ""
    name = type(model.scoring).__name__
    if len(model.encoder.views) > 1:
        return f"entities have {len(model.encoder.views)} vectors each, and a score is a sum over pairs of them"
    if model.depends_on_relation:
        return "candidates look different to each relation"
    return f"{name} compares by something that is neither a dot product nor an L1 or L2 distance"


def make_search(
    model: Model, data: Dataset, encode: Encode | None = None, *, kind: str = "auto", memory: int = 512, seed: int = 0
) -> Search:
    """Choose how to search, and say so in `description`.

    Args:
        model, data: a trained model and its graph; encode: from `model.encode_all()`, where there is one already.
        kind: "scan"; "index"; or "auto", an index from 100,000 entities on where the model can be indexed and faiss
            is installed.
        memory: MiB for a scan. seed: of the index.

    Raises:
        ConfigError: an index is asked for and the model has none, or another kind.
        MissingExtraError: an index is asked for without faiss.
    """
    if kind not in ("auto", "scan", "index"):
        raise ConfigError(f"there is no search {kind!r}; choose auto, scan or index")
    scan = Scan(model, encode, memory=memory)
    reason = why_not_indexed(model)
    if kind == "index":
        if reason:
            raise ConfigError(f"this model cannot be indexed: {reason}; it is scanned: choose scan or auto")
        return Index(scan, data, seed=seed)
    if kind == "scan" or model.num_entities < LARGE:
        return scan
    try:
        _faiss()
    except MissingExtraError as error:
        reason = reason or str(error)
    if reason:
        scan.description += f"; no index: {reason}"
        return scan
    return Index(scan, data, seed=seed)


class Index:
    """Nearest neighbours of what questions expect: a graph of neighbours (HNSW) or cells (IVF), by size.

    How hard it looks is doubled until the recall of the true top 10 reaches a target on questions of the graph; the
    recall that it measured is in `recall` and in `description`. What it finds is scored by the model itself. Questions
    of narrow candidates, and those that excluded answers leave short, are scanned.

    Johnson, Douze and Jégou, *Billion-scale similarity search with GPUs*, 2019; Malkov and Yashunin, *Efficient and
    robust approximate nearest neighbor search using hierarchical navigable small world graphs*, 2018.

    Args:
        scan: the exact search, of a model that can be indexed.
        data: its graph; questions are drawn from its triples.
        target: recall to reach. seed: of the draw.
    """

    def __init__(self, scan: Scan, data: Dataset, *, target: float = 0.95, seed: int = 0) -> None:
        reason = why_not_indexed(scan.model)
        if reason:
            raise ConfigError(f"this model cannot be indexed: {reason}")
        self.scan, self.model, self.encode = scan, scan.model, scan.encode
        self._faiss = _faiss()
        self.kind, self._index = self._build(seed)
        self.effort, self.recall = self._tune(data, target, seed)
        effort = f", {'nprobe' if self.kind.startswith('IVF') else 'efSearch'} {self.effort}" if self.effort else ""
        self.description = (
            f"faiss {self.kind} of {self.model.num_entities:,} entities by {shared_similarity_of(self.model)}{effort};"
            f" recall@10 {self.recall:.3f} on {2 * _SAMPLE} questions of the graph"
        )

    @torch.no_grad()
    def top(
        self, query: Query, k: int, *, candidates: Int[Tensor, " n"] | None = None, exclude: Known | None = None
    ) -> Found:
        """Find the k best answers; see `Search`."""
        entities, device = self.model.num_entities, self.model.device
        if candidates is not None and len(candidates) * _NARROW < entities:
            return self.scan.top(query, k, candidates=candidates, exclude=exclude)
        query, k = query.to(device), min(k, entities if candidates is None else len(candidates))
        allowed = None
        if candidates is not None:
            allowed = torch.zeros(entities, dtype=torch.bool, device=device)
            allowed[candidates.to(device)] = True
        best = Found(
            torch.full((len(query), k), -1, device=device), torch.full((len(query), k), -torch.inf, device=device)
        )
        for start in range(0, len(query), _QUESTIONS):
            block = slice(start, start + _QUESTIONS)
            found = self._among_nearest(query[block], k, allowed, exclude)
            best.ids[block, : found.ids.shape[1]], best.scores[block, : found.ids.shape[1]] = found
        short = (best.ids < 0).any(dim=1).nonzero().squeeze(1)
        if len(short):
            best.ids[short], best.scores[short] = self.scan.top(query[short], k, candidates=candidates, exclude=exclude)
        return best

    def _among_nearest(self, query: Query, k: int, allowed: Tensor | None, exclude: Known | None) -> Found:
        """The best of the nearest that are neither excluded nor of another kind; as few as there are."""
        share = 1.0 if allowed is None else len(allowed) / int(allowed.sum())
        left_out = 0 if exclude is None else int(exclude.count(query).max())
        wanted = math.ceil((k + left_out) * share) + 8
        ids = self._nearest(query, min(_MOST, self.model.num_entities, wanted))
        valid = ids >= 0
        if exclude is not None:
            valid &= ~exclude.contains(query, ids)
        if allowed is not None:
            valid &= allowed[ids.clamp(min=0)]
        scores = self.model.score(query, ids.clamp(min=0), self.encode).masked_fill(~valid, -torch.inf)
        values, places = scores.topk(min(k, ids.shape[1]), dim=1)
        return Found(ids.gather(1, places).masked_fill(values == -torch.inf, -1), values)

    def _build(self, seed: int) -> tuple[str, Any]:
        faiss, entities = self._faiss, self.model.num_entities
        width = self._vectors(torch.zeros(1, dtype=torch.long)).shape[1]
        metric = getattr(faiss, METRICS[shared_similarity_of(self.model)])
        cells = 2 ** round(math.log2(4 * math.sqrt(entities)))
        kind = "HNSW32,Flat" if entities <= _GRAPH_SIZE else f"IVF{cells},Flat"
        faiss.omp_set_num_threads(torch.get_num_threads())
        index = faiss.index_factory(width, kind, metric)
        if kind.startswith("IVF"):
            index.cp.seed = seed + 1
            drawn = np.random.default_rng(seed).permutation(entities)[: 48 * cells]
            index.train(self._vectors(torch.from_numpy(np.sort(drawn))))
        for part in torch.arange(entities).split(_BLOCK):
            index.add(self._vectors(part))
        return kind.split(",")[0], index

    @torch.no_grad()
    def _vectors(self, ids: Tensor) -> Float[np.ndarray, "n e"]:
        vectors = shared_vectors(self.model, self.encode(ids.to(self.model.device)))
        return vectors.float().cpu().contiguous().numpy()

    def _tune(self, data: Dataset, target: float, seed: int) -> tuple[int, float]:
        """Double the effort until the recall reaches the target: (effort, recall)."""
        triples = data.graph.triples().astype(np.int64)
        drawn = np.random.default_rng(seed).integers(len(triples), size=_SAMPLE)
        queries = [ask(torch.from_numpy(triples[drawn]), side)[0] for side in (Side.TAIL, Side.HEAD)]
        exact = [self.scan.top(query, 10).ids for query in queries]
        most = self._index.nlist if self.kind.startswith("IVF") else 1024
        effort = 16
        while True:
            self._look(effort)
            found = [self._nearest(query.to(self.model.device), 10) for query in queries]
            hits = [
                len(set(mine) & set(theirs)) / len(theirs)
                for ours, true in zip(found, exact, strict=True)
                for mine, theirs in zip(ours.tolist(), true.tolist(), strict=True)
            ]
            recall = float(np.mean(hits))
            if recall >= target or effort >= most:
                return effort, recall
            effort = min(2 * effort, most)

    def _look(self, effort: int) -> None:
        if self.kind.startswith("IVF"):
            self._index.nprobe = effort
        else:
            self._index.hnsw.efSearch = effort

    def _nearest(self, query: Query, count: int) -> Int[Tensor, "batch count"]:
        """The nearest entities to what each question expects, −1 where fewer are found."""
        with torch.no_grad():
            expected = expect_of_shared(self.model, query, self.encode).float().cpu().contiguous().numpy()
        self._faiss.omp_set_num_threads(torch.get_num_threads())
        return torch.from_numpy(self._index.search(expected, count)[1]).to(self.model.device)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("faiss-cpu", "ann", "an index of entity vectors") from None
    return faiss

"""How long cross-modal attention takes, and how much memory: once per distinct relation, and once per triple.

Run with: python -m benchmarks.speed.attention [--data FOLDER …] [--threads 1] [--json]
Each figure is the forward and backward pass of all cosines of a batch of answers with a pool of candidates, in a
process of its own, so that peaks of memory do not mix; seconds are the processor's, whatever else the machine does.
Once per triple does not fit at full size: it is measured for a tenth of the triples and scaled by ten; the same for a
twentieth shows how true that is. It has what a candidate's slots are after their layers once a candidate, as released.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np

BATCH, POOL = 400, 1500
PICTURES, WORDS, WIDTH = (24, 383), (4, 384), 200
MIXES = {"DB15K": (279, 82), "MKG-W": (169, 58), "MKG-Y": (28, 18)}  # relations; distinct ones in 400 triples
REPEATS = 3


@dataclass(frozen=True)
class Work:
    """One measurement: `way` is relation, triple or halves; relations of the batch, one a triple."""

    way: str
    relations: tuple[int, ...]
    threads: int
    pool: int = POOL


def mix_like(relations: int, distinct: int, batch: int = BATCH, seed: int = 0) -> tuple[int, ...]:
    """A batch of relations with frequencies ∝ 1/rank^s, with s such that so many distinct ones are expected."""
    rank = np.arange(1, relations + 1)
    low, high = 0.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        share = rank**-middle / (rank**-middle).sum()
        low, high = (middle, high) if (1 - (1 - share) ** batch).sum() > distinct else (low, middle)
    generator = np.random.default_rng(seed)
    drawn = (generator.choice(relations, size=batch, p=share) for _ in range(200))
    return tuple(min(drawn, key=lambda mix: abs(len(set(mix.tolist())) - distinct)).tolist())


def mix_of(folder: str, batch: int = BATCH, seed: int = 0) -> tuple[int, ...]:
    """The relations of a random batch of a folder's training triples."""
    import pictokg

    train = pictokg.load(folder, modalities=[]).graph.split("train")
    return tuple(train[np.random.default_rng(seed).choice(len(train), size=min(batch, len(train))), 1].tolist())


def measure(work: Work) -> dict[str, float]:
    """Processor seconds of the fastest of some passes, and MiB that passes take beyond their inputs."""
    import torch

    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(work.threads)
    inputs = make_inputs(work)
    function = {"relation": per_relation, "triple": per_triple, "halves": per_triple}[work.way]
    options = {} if work.way == "relation" else {"halves": work.way == "halves"}
    before, seconds = _peak(), []
    for _ in range(REPEATS):
        start = time.process_time()
        alike = function(*inputs, **options)
        (alike * alike.detach().cos()).sum().backward()
        seconds.append(time.process_time() - start)
    return {"seconds": min(seconds), "mib": _peak() - before, "value": float(alike.detach().double().square().sum())}


def make_inputs(work: Work):
    """Attention, slots and structure of a pool whose first entities are the answers, relation vectors and their use."""
    import torch

    from pictokg.fusion.cross_modal import CrossModalAttention, Sizes

    torch.manual_seed(0)
    attention = CrossModalAttention(Sizes(PICTURES, WORDS, WIDTH, WIDTH))
    pictures, words = torch.randn(work.pool, *PICTURES), torch.randn(work.pool, *WORDS)
    structure = torch.randn(work.pool, WIDTH, requires_grad=True)
    vectors = torch.randn(1 + max(work.relations), WIDTH, requires_grad=True)
    answer = torch.randint(work.pool, (len(work.relations),))
    return attention, pictures, words, structure, vectors, torch.tensor(work.relations), answer


def per_relation(attention, pictures, words, structure, vectors, relation, answer):
    """As the samplers do: cosines (3, batch, pool)."""
    import torch
    from torch.nn.functional import normalize

    from pictokg.fusion.cross_modal import Slots
    from pictokg.sampling._cross_modal import similarities

    wanted, row = torch.stack([relation, answer]).unique(dim=1, return_inverse=True)
    distinct, of_pair = wanted[0].unique_consecutive(return_inverse=True)
    entities = attention.independent(Slots(pictures), Slots(words), structure)
    guided = attention.guide(vectors[distinct])
    anchors = attention(entities[wanted[1]], guided[of_pair].one_each())
    anchors = tuple(normalize(z.squeeze(1), dim=-1) for z in anchors)
    return similarities(attention, entities, guided, anchors, of_pair, lambda z: normalize(z, dim=-1))[:, row]


def per_triple(attention, pictures, words, structure, vectors, relation, answer, *, halves=False):
    """The equations, a row a triple and candidate; with `halves`, what needs no relation once a candidate."""
    import torch
    from torch.nn.functional import leaky_relu, normalize

    shown = leaky_relu(attention.picture_layer(pictures), 0.1)  # (pool, 24, a)
    told = leaky_relu(attention.text_layer(words), 0.1)

    def encode(v, t, e, r):  # v (…, 24, a), t (…, 4, a), e (…, d), r (rows, 1, d)
        V, T = (v, t) if halves else (v.expand(len(r), -1, -1, -1), t.expand(len(r), -1, -1, -1))
        C = V @ T.transpose(-1, -2)
        A_v, A_t = C.transpose(-1, -2).softmax(dim=-1) @ V, C.softmax(dim=-1) @ T
        G_v, G_t = (torch.sigmoid(gate(r)).unflatten(-1, C.shape[-2:]) for gate in gates)
        R_v, R_t = (G_v * C).transpose(-1, -2) @ V, (G_t * C) @ T
        M_v = attention.norm(R_v) + attention.norm(A_v)
        M_t = attention.norm(R_t) + attention.norm(A_t)
        both = torch.cat([e.expand(len(r), -1, -1), r.expand(-1, e.shape[1], -1)], dim=-1)
        gate = torch.sigmoid(attention.structure_out(leaky_relu(attention.structure_in(both), 0.1)))
        return attention.picture_out(M_v.flatten(-2)), attention.text_out(M_t.flatten(-2)), e * gate

    gates = attention.picture_gate, attention.text_gate
    r = vectors[relation].unsqueeze(1)
    candidates = encode(shown.unsqueeze(0), told.unsqueeze(0), structure.unsqueeze(0), r)
    own = encode(shown[answer].unsqueeze(1), told[answer].unsqueeze(1), structure[answer].unsqueeze(1), r)
    pairs = zip(candidates, own, strict=True)
    return torch.stack([(normalize(c, dim=-1) * normalize(p, dim=-1)).sum(dim=-1) for c, p in pairs])


def compare_mixes(folders: list[str], threads: int) -> list[dict[str, float | int | str]]:
    """A row a mix of relations: those of the folders' training triples, else some like three published graphs'."""
    mixes = {folder: mix_of(folder) for folder in folders}
    mixes = mixes or {f"like {name}": mix_like(*shape) for name, shape in MIXES.items()}
    return [compare(name, relations, threads) for name, relations in mixes.items()]


def compare(name: str, relations: tuple[int, ...], threads: int) -> dict[str, float | int | str]:
    """One row: the two ways of computing, the second scaled from a tenth of the triples."""
    ours = run(Work("relation", relations, threads))
    row: dict[str, float | int | str] = {"mix": name, "distinct": len(set(relations)), **prefixed("relation", ours)}
    for way in ("triple", "halves"):
        part = {count: run(Work(way, relations[:count], threads)) for count in (BATCH // 20, BATCH // 10)}
        small, large = part.values()
        scale = len(relations) / (BATCH // 10)
        row |= prefixed(way, {"seconds": large["seconds"] * scale, "mib": large["mib"] * scale})
        row |= {
            f"{way}_twice_as_many_takes": large["seconds"] / small["seconds"],
            f"{way}_twice_as_many_holds": large["mib"] / small["mib"],
            f"times_faster_than_{way}": row[f"{way}_seconds"] / ours["seconds"],
            f"memory_of_{way}": ours["mib"] / row[f"{way}_mib"],
        }
    same = run(Work("relation", relations[: BATCH // 10], threads))["value"]
    row["relative_difference"] = abs(same - large["value"]) / large["value"]
    return row


def prefixed(way: str, measured: dict[str, float]) -> dict[str, float]:
    return {f"{way}_{key}": measured[key] for key in ("seconds", "mib")}


def run(work: Work) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (work,))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2 ** (20 if sys.platform == "darwin" else 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=[], help="folders whose mixes of relations to take")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = compare_mixes(options.data, options.threads)
    print(json.dumps(rows, indent=2)) if options.json else show(rows)


def show(rows: list[dict[str, float | int | str]]) -> None:
    for row in rows:
        print(f"\n{row['mix']}: {row['distinct']} distinct relations in {BATCH} triples, pool {POOL:,}")
        print(f"  once a relation: {row['relation_seconds']:.2f} s, {row['relation_mib']:,.0f} MiB")
        for way, what in (
            ("triple", "once a triple"),
            ("halves", "guided half once a triple, the other once a candidate"),
        ):
            print(
                f"  {what} (scaled ×10): {row[f'{way}_seconds']:.1f} s, {row[f'{way}_mib']:,.0f} MiB"
                f" → {row[f'times_faster_than_{way}']:.1f} × faster, {row[f'memory_of_{way}']:.1%} of the memory"
                f" (twice the triples: {row[f'{way}_twice_as_many_takes']:.2f} × the time,"
                f" {row[f'{way}_twice_as_many_holds']:.2f} × the memory)"
            )
        print(f"  both agree to {row['relative_difference']:.1e}")


if __name__ == "__main__":
    main()

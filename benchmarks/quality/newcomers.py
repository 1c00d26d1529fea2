"""Entities never seen in training: whole entities are held out, then asked about from their pictures, words and facts.

    python -m benchmarks.quality.newcomers benchmarks/quality/newcomers.toml --only glyphs --out runs/newcomers
    python -m benchmarks.quality.newcomers benchmarks/quality/newcomers.toml --out runs/newcomers --table   # only print

A plan names data sets, what to hold out of each ("unseen": entities of valid and test that training lacks; else a
share of those that have what the plan says), seeds, rows (a model with settings) and what is told of the newcomers.
Every fact of a held-out entity leaves the folder before anything is encoded or trained, and with it its pictures and
words: encoders are fitted without them. Of each newcomer's facts a few are set aside to be told; the others are the
questions, the same for all rows: about it, (newcomer, r, ?) and (?, r, newcomer), and with it as the answer. Filtered,
realistic ranks among all entities, newcomers too. Beside them popularity (how often an entity stands in that slot of
the relation) and chance. Finished (data, row, seed) are kept, so a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.quality.grid import spread
from pictokg.datasets.dataset import Dataset
from pictokg.datasets.glyphs import generate
from pictokg.datasets.load import load, locate
from pictokg.files import write_text
from pictokg.graph.query import Side
from pictokg.prediction.newcomer import Fact, Newcomer
from pictokg.prediction.newcomers import WEIGHT, Reception

KINDS = ("about", "as answer")


@dataclass(frozen=True)
class Held:
    """A data set without some entities, and what was known of them.

    Attributes:
        data: without them; newcomers: with all that can be told, facts too; questions: their other facts by name.
    """

    data: Dataset
    newcomers: list[Newcomer]
    questions: list[tuple[str, str, str]]


def hold_out(source: Path, folder: Path, plan: dict[str, Any], seed: int) -> Held:
    """Write a folder without some entities, load it, and gather what is known of them."""
    whole = load(source, modalities=[])
    held = sorted(choose(whole, plan, seed))
    away = set(held)
    names = whole.graph.entities.names
    triples = {split: [name_all(whole, row) for row in rows] for split, rows in whole.graph.splits.items()}
    about = [one for rows in triples.values() for one in dict.fromkeys(rows) if (one[0] in away) != (one[2] in away)]
    kept = {split: [one for one in rows if not {one[0], one[2]} & away] for split, rows in triples.items()}
    write_folder(folder, whole, kept, [name for name in names if name not in away])
    data = load(folder, features=plan.get("features", {}), say=print)
    there, left = set(data.graph.entities.names), set(data.graph.relations.names)
    others = {one: one[2] if one[0] in away else one[0] for one in about}
    usable = [one for one, other in others.items() if other in there and one[1] in left]
    print(f"{len(held):,} entities held out, {len(about):,} facts about them, {len(usable):,} can be asked")
    return gather(whole, data, held, usable, plan, seed)


def choose(data: Dataset, plan: dict[str, Any], seed: int) -> set[str]:
    """Which entities to hold out."""
    graph, names = data.graph, data.graph.entities.names
    if plan["hold"] == "unseen":
        asked = np.unique(graph.triples("valid", "test")[:, [0, 2]])
        return {names[entity] for entity in asked[~graph.seen_entities("train")[asked]].tolist()}
    has = {"pictures": data.pictures.get, "words": data.text_of}
    able = [name for name in names if all(has[thing](name) for thing in plan["having"])]
    count = round(plan["hold"] * len(able))
    return set(np.random.default_rng(seed).choice(able, count, replace=False).tolist())


def name_all(data: Dataset, row: np.ndarray) -> tuple[str, str, str]:
    graph = data.graph
    return graph.entities.name(int(row[0])), graph.relations.name(int(row[1])), graph.entities.name(int(row[2]))


def write_folder(folder: Path, whole: Dataset, splits: dict[str, list[tuple[str, str, str]]], kept: list[str]) -> None:
    """Write the data set without what was held out; pictures are linked to."""
    assert whole.folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        write_text(folder / f"{split}.tsv", "".join("\t".join(row) + "\n" for row in rows))
    clean = str.maketrans("\t\n\r", "   ")
    words = [(name, whole.labels.get(name, ""), whole.descriptions.get(name, "")) for name in kept]
    lines = ["\t".join([row[0], *(text.translate(clean) for text in row[1:])]) for row in words if row[1] or row[2]]
    if lines:
        write_text(folder / "text.tsv", "\n".join(lines) + "\n")
    linked = []
    for name in kept:
        for path in whole.pictures.get(name, ()):
            place = f"images/{len(linked)}{path.suffix}"
            linked.append(f"{name}\t{place}\n")
            if not (folder / place).exists():
                (folder / place).parent.mkdir(exist_ok=True)
                (folder / place).hardlink_to(path) if same_disk(path, folder) else (folder / place).symlink_to(path)
    if linked:
        write_text(folder / "images.tsv", "".join(linked))


def same_disk(path: Path, folder: Path) -> bool:
    return path.stat().st_dev == folder.stat().st_dev


def gather(
    whole: Dataset, data: Dataset, held: list[str], facts: list[tuple[str, str, str]], plan: dict[str, Any], seed: int
) -> Held:
    """Make newcomers; of each one's facts, in random order, the first few can be told, the others are asked."""
    generator, newcomers, questions = np.random.default_rng(seed + 1), [], []
    own: dict[str, list[tuple[str, str, str]]] = {name: [] for name in held}
    for fact in facts:
        own[fact[0] if fact[0] in own else fact[2]].append(fact)
    for name in held:
        order = [own[name][place] for place in generator.permutation(len(own[name]))]
        told = [Fact(one[1], one[2] if one[0] == name else one[0], one[0] == name) for one in order[: plan["facts"]]]
        questions += order[plan["facts"] :]
        words = whole.labels.get(name, ""), whole.descriptions.get(name, "")
        newcomers.append(Newcomer(name, *words, list(whole.pictures.get(name, ())), told))
    return Held(data, newcomers, questions)


def ranks_of(model: Any, held: Held, told: dict[str, Any]) -> dict[str, float]:
    """MRR of the questions when this is told of the newcomers: "pictures", "words", "facts"."""
    from pictokg.evaluation.ranking import rank

    parts = told["parts"]
    count = told.get("facts", 10**9)
    shown = [
        replace(
            one,
            images=one.images if "pictures" in parts else (),
            label=one.label if "words" in parts else "",
            text=one.text if "words" in parts else "",
            facts=one.facts[:count] if "facts" in parts else (),
        )
        for one in held.newcomers
    ]
    able = [one for one in shown if one.images or one.label or one.text or one.facts]
    longer, data = Reception(model, held.data, weight=told.get("weight", WEIGHT)).admit(able)
    names = {one.name for one in able}
    asked = [one for one in held.questions if one[0] in names or one[2] in names]
    graph = data.graph
    ids = np.array([(graph.entities.id(h), graph.relations.id(r), graph.entities.id(t)) for h, r, t in asked])
    graph.splits["held"] = ids.astype(np.int32)
    ranks = rank(longer, data, "held")
    return mrr(1 / ranks.by("realistic"), ranks.side, ids, held.data.graph.num_entities)


def mrr(reciprocal: np.ndarray, side: np.ndarray, ids: np.ndarray, known: int) -> dict[str, float]:
    """MRR of the questions about newcomers, and of those whose answer they are."""
    both = np.concatenate([ids, ids])
    answer_is_new = np.where(side == Side.HEAD, both[:, 0], both[:, 2]) >= known
    return {
        KINDS[0]: float(reciprocal[~answer_is_new].mean()),
        KINDS[1]: float(reciprocal[answer_is_new].mean()),
        "questions": int((~answer_is_new).sum()),
    }


def baselines(held: Held) -> dict[str, dict[str, float]]:
    """Popularity and chance on the same questions, with the same candidates and filters."""
    graph, count = held.data.graph, held.data.graph.num_entities
    number = {one.name: count + place for place, one in enumerate(held.newcomers)}
    id_of = {**{name: place for place, name in enumerate(graph.entities.names)}, **number}
    train, total = graph.split("train"), count + len(number)
    facts = [(one.name, fact.relation, fact.entity) if fact.as_head else (fact.entity, fact.relation, one.name)
             for one in held.newcomers for fact in one.facts]  # fmt: skip
    new = np.array([(id_of[h], graph.relations.id(r), id_of[t]) for h, r, t in [*held.questions, *facts]])
    known = np.concatenate([graph.triples(), new])
    popular, chance, sides = [], [], []
    ids = new[: len(held.questions)]
    for side in (Side.HEAD, Side.TAIL):
        other = Side.TAIL if side is Side.HEAD else Side.HEAD
        answers: dict[tuple[int, int], list[int]] = {}
        for row in known.tolist():
            answers.setdefault((row[1], row[other]), []).append(row[side])
        degree = np.zeros((graph.num_relations, total))
        np.add.at(degree, (train[:, 1], train[:, side]), 1)
        for row in ids.tolist():
            allowed = np.ones(total, dtype=bool)
            allowed[answers[row[1], row[other]]] = False
            own, rest = degree[row[1], row[side]], degree[row[1]][allowed]
            popular.append(1 / (1 + (rest > own).sum() + (rest == own).sum() / 2))
            chance.append((1 / np.arange(1, len(rest) + 2)).mean())
            sides.append(int(side))
    return {
        name: mrr(np.array(values), np.array(sides), ids, count)
        for name, values in (("popularity", popular), ("chance", chance))
    }


def run_row(row: dict[str, Any], seed: int, held: Held) -> dict[str, Any]:
    """Train one row with one seed on what is left, and ask about the newcomers."""
    from pictokg.assembly import build_model, build_trainer
    from pictokg.config import configure
    from pictokg.training.fit import fit

    config = configure(row["model"], settings=[*row.get("settings", {}).items(), ("training.seed", seed)])
    model = build_model(config, held.data, seed=seed)
    progress = fit(build_trainer(config, model, held.data), held.data)
    model.eval()
    return {
        "valid_mrr": progress.best_mrr,
        "seconds": sum(epoch["seconds"] for epoch in progress.history),
        "told": {told["name"]: ranks_of(model, held, told) for told in row["told"]},
    }


def print_table(plan: dict[str, Any], out: Path) -> None:
    """Print mean ± standard deviation over the seeds."""
    header = ["data", "row", "told", "seeds", "questions", *(f"MRR {kind}" for kind in KINDS), "seconds"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for data in plan["data"]:
        for row in [{"name": "none"}, *data["rows"]]:
            files = [out / data["name"] / f"{row['name']}-{seed}.json" for seed in seeds_of(plan, data)]
            found = [json.loads(file.read_text()) for file in files if file.exists()]
            for told in found[0]["told"] if found else []:
                figures = [one["told"][told] for one in found]
                cells = [
                    data["name"],
                    row["name"],
                    told,
                    str(len(found)),
                    str(round(mean(f["questions"] for f in figures))),
                ]
                cells += [spread([one[kind] for one in figures]) for kind in KINDS]
                print("| " + " | ".join([*cells, f"{mean(one['seconds'] for one in found):.0f}"]) + " |")


def seeds_of(plan: dict[str, Any], data: dict[str, Any]) -> list[int]:
    """The seeds of a data set, where it has its own, or of the plan."""
    return data.get("seeds", plan["seeds"])


def source_of(data: dict[str, Any], root: Path, out: Path) -> Path:
    """The folder of a data set of the plan; some characters of glyphs, where it names ranges of them."""
    if data["source"] != "glyphs":
        return root / data["source"]
    if "ranges" not in data:
        return locate("glyphs")
    folder = out / data["name"] / "source"
    if not folder.exists():
        generate(folder, characters=[chr(code) for first, last in data["ranges"] for code in range(first, last)])
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--only", help="one data set of the plan")
    parser.add_argument("--row", help="one row of it")
    parser.add_argument("--root", type=Path, default=Path("data"), help="where the data folders of the plan are")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the plan's")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="only print what there is")
    arguments = parser.parse_args()
    plan = tomllib.loads(arguments.plan.read_text(encoding="utf-8"))
    for data in [] if arguments.table else plan["data"]:
        if arguments.only not in (None, data["name"]):
            continue
        source = source_of(data, arguments.root, arguments.out)
        for seed in arguments.seeds or seeds_of(plan, data):
            held = None
            for row in [{"name": "none"}, *data["rows"]]:
                file = arguments.out / data["name"] / f"{row['name']}-{seed}.json"
                if file.exists() or (arguments.row not in (None, row["name"]) and row["name"] != "none"):
                    continue
                held = held or hold_out(source, arguments.out / data["name"] / f"data-{seed}", data, seed)
                result = run_row(row, seed, held) if "model" in row else {"seconds": 0, "told": baselines(held)}
                write_text(file, json.dumps(result, indent=1) + "\n")
                print(file, json.dumps(result["told"]), flush=True)
    print_table(plan, arguments.out)


if __name__ == "__main__":
    main()

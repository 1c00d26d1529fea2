"""How long it takes, and how much memory, to read triples from files into ids and look up the known answers.

Run with: python -m benchmarks.speed.loading [--lines 1000000] [--formats tsv nt] [--json]
Each format is read in a process of its own, so that the peaks of memory do not mix.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

TEMPLATES = {
    "tsv": "http://example.org/entity/Q{}\thttp://example.org/P{}\thttp://example.org/entity/Q{}",
    "nt": "<http://example.org/entity/Q{}> <http://example.org/P{}> <http://example.org/entity/Q{}> .",
}
BLOCK = 1_000_000


def write(path: Path, lines: int, seed: int = 0) -> None:
    """Write random triples among a tenth as many entities and 500 relations."""
    import numpy as np
    import polars as pl

    generator = np.random.default_rng(seed)
    highs = {"head": max(lines // 10, 2), "relation": 500, "tail": max(lines // 10, 2)}
    with path.open("wb") as handle:
        for start in range(0, lines, BLOCK):
            size = min(BLOCK, lines - start)
            frame = pl.DataFrame({slot: generator.integers(0, high, size) for slot, high in highs.items()})
            text = frame.select(pl.format(TEMPLATES[path.suffix[1:]], *highs).alias("line"))
            text.write_csv(handle, include_header=False, quote_style="never", separator="\x01")


def measure(path: Path) -> dict[str, float | int | str]:
    """Read a file to ids, and answer questions of all its triples."""
    import torch

    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.known import Known
    from pictokg.graph.query import Side, ask
    from pictokg.graph.read import read_triples

    before = _peak()
    start = time.perf_counter()
    graph = KnowledgeGraph.from_frames({"train": read_triples(path)})
    read = time.perf_counter()
    peak = _peak()
    known = Known(graph.triples(), graph.num_entities, graph.num_relations)
    sample = torch.from_numpy(graph.triples()[:1000])
    for side in (Side.HEAD, Side.TAIL):
        known.count(ask(sample, side)[0])
    return {
        "format": path.suffix[1:],
        "triples": len(graph.triples()),
        "entities": graph.num_entities,
        "seconds_to_ids": round(read - start, 2),
        "seconds_known": round(time.perf_counter() - read, 2),
        "mib_at_start": before,
        "mib_peak_to_ids": peak,
        "mib_peak": _peak(),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2 ** (20 if sys.platform == "darwin" else 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", choices=sorted(TEMPLATES), default=sorted(TEMPLATES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.formats:
            path = Path(folder) / f"triples.{name}"
            for work in (write, measure):
                with context.Pool(1) as pool:
                    result = pool.apply(work, (path, options.lines) if work is write else (path,))
            results.append(result)
            path.unlink()
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for result in results:
        print(
            "  ".join(
                f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}" for key, value in result.items()
            )
        )


if __name__ == "__main__":
    main()

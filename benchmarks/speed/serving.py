"""Load on the service: requests a second and their times, bounded in count and in time.

A run folder (the demo's, of 7,062 entities) or a made-up graph of any size is served by a process of its own, as
`pictokg serve` does; so many clients ask one question after another, over connections that are kept. The vectors of the
made-up graph lie in clusters, as learned ones do: where they lie anywhere, an index finds the best only by looking
everywhere.

    python -m benchmarks.speed.serving runs/demo/gated-image-text --clients 8 --requests 3000 --seconds 30
    python -m benchmarks.speed.serving --entities 1000000 --requests 500 --seconds 60
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np


def made_up(entities: int) -> Any:
    """A run of a graph of that size, and of a DistMult that knows its law (see benchmarks.speed.completion)."""
    from benchmarks.speed.completion import generated
    from pictokg.prediction.calibration import fit_calibration
    from pictokg.serving.served import Served

    data, model = generated(entities, 20, 128, "distmult")
    run = Served("made up", model, data)
    run.predictor.calibration = fit_calibration(model, data, encode=run.predictor.encode)
    return run


def serve(folder: Path | None, entities: int, threads: int, where: Any) -> None:
    """Serve in this process; tells the port."""
    import torch

    from pictokg.cli.serve import open_service
    from pictokg.serving.app import make_app
    from pictokg.serving.served import Service
    from pictokg.serving.server import make_server

    torch.set_num_threads(1)
    if folder is not None:
        service = open_service([folder], "cpu", threads)
    else:
        service = Service.of([made_up(entities)], threads=threads)
    run = service.run(None)
    server = make_server(make_app(service), "127.0.0.1", 0, "WARNING")
    ids = np.random.default_rng(1).permutation(run.facts.triples)[:2000]
    graph = run.data.graph
    questions = [(graph.entities.name(head), graph.relations.name(relation)) for head, relation, _ in ids.tolist()]

    def tell() -> None:
        while not server.started:
            time.sleep(0.01)
        where.put(
            (server.servers[0].sockets[0].getsockname()[1], questions, graph.num_entities, run.search.description)
        )

    threading.Thread(target=tell, daemon=True).start()
    server.run()


def load(port: int, paths: Callable[[int], str], clients: int, requests: int, seconds: float) -> np.ndarray:
    """Ask from several threads; the seconds of each request."""
    deadline, times, failed = time.perf_counter() + seconds, [], []

    def client(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(first, requests, clients):
            start = time.perf_counter()
            if start > deadline:
                break
            connection.request("GET", paths(number))
            response = connection.getresponse()
            response.read()
            times.append(time.perf_counter() - start)
            if response.status != 200:
                failed.append(response.status)

    threads = [threading.Thread(target=client, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, f"{len(failed)} requests failed, the first with {failed[0]}"
    return np.array(times)


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor, all its threads together; NaN where there is no /proc.

    On a machine that others use too it says what requests cost where their times say how long they waited.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    address: tuple[int, int], questions: list[tuple[str, str]], options: argparse.Namespace, clients: int
) -> list[dict]:
    port, pid = address

    def answers(number: int) -> str:
        head, relation = questions[number % len(questions)]
        return f"/answers?head={quote(head)}&relation={quote(relation)}&k=10"

    def search(number: int) -> str:
        return f"/search?q={quote(questions[number % len(questions)][0][:8])}"

    rows = []
    for name, paths in {"answers": answers, "search": search, "health": lambda number: "/health"}.items():
        load(port, paths, clients, min(50, options.requests), options.seconds)  # what is made once is made now
        start, used = time.perf_counter(), processor_seconds(pid)
        times = load(port, paths, clients, options.requests, options.seconds)
        wall, cost = time.perf_counter() - start, (processor_seconds(pid) - used) / len(times) * 1000
        p50, p99 = np.quantile(times, [0.5, 0.99]) * 1000
        rows.append({"route": name, "clients": clients, "requests": len(times), "per_second": len(times) / wall})
        rows[-1] |= {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "processor_ms": round(cost, 3)}
        figures = f"{len(times) / wall:8.0f}/s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   processor {cost:6.2f} ms"
        print(f"{name:8} {clients:3} clients {figures}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="run folder; without one a graph is made up")
    parser.add_argument("--entities", type=int, default=7000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0, help="at most, a route")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    where = context.Queue()
    server = context.Process(target=serve, args=(options.run, options.entities, options.threads, where), daemon=True)
    server.start()
    try:
        port, questions, entities, search = where.get(timeout=400)
        print(f"{entities:,} entities, {options.threads} compute threads, {search}")
        rows = [row for clients in options.clients for row in measure((port, server.pid), questions, options, clients)]
        if options.json:
            options.json.write_text(json.dumps({"entities": entities, "rows": rows}, indent=2) + "\n")
    finally:
        server.terminate()
        server.join(20)


if __name__ == "__main__":
    main()

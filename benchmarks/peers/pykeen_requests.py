"""What PyKEEN's scripts share: requests in, measurements out, as JSON lines; and the timing of one epoch."""

from __future__ import annotations

import json
import sys
import time

import torch


def measure_epoch(state, request):
    """Triples a second of one more epoch of a training loop."""
    state["epochs"] += 1
    start = time.perf_counter()
    state["loop"].train(
        state["factory"],
        num_epochs=state["epochs"],
        batch_size=request["batch"],
        sub_batch_size=request.get("sub_batch"),
        continue_training=state["epochs"] > 1,
        use_tqdm=False,
        use_tqdm_batch=False,
    )
    return {"triples_per_second": len(state["factory"].mapped_triples) / (time.perf_counter() - start)}


def answer_requests(build, measure, key=json.dumps):
    """Answer each request; those with the same key go on with what was built for the first of them."""
    states = {}
    for line in sys.stdin:
        request = json.loads(line)
        torch.set_num_threads(request["threads"])
        name = key(request)
        if name not in states:
            states = {name: build(request)}  # one model at a time, to leave the memory to whoever is timed
        print(json.dumps(measure(states[name], request)), flush=True)

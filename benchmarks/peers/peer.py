"""A peer in a process and an environment of its own, asked by lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Peer:
    """A running script of this folder; `ask` is the only verb. It sleeps until it is asked."""

    def __init__(self, folder: Path, environment: str, script: str, threads: int) -> None:
        python = folder / environment / "bin" / "python"
        if not python.is_file():
            raise SystemExit(f"{python} is not there; install the peers first: benchmarks/peers/install.sh {folder}")
        settings = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        self._process = subprocess.Popen(
            [str(python), str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **settings},
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer; {"failed": reason} where the peer died of it."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            while line := self._process.stdout.readline():
                if line.startswith("{"):
                    return json.loads(line)
        except BrokenPipeError:
            pass
        return {"failed": f"the peer ended with code {self._process.wait()}"}

    def close(self) -> None:
        """Let it end."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

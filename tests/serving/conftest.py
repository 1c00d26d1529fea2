from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from random_data import make_data

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from PIL import Image
from starlette.testclient import TestClient

import pictokg
from pictokg.datasets.dataset import Dataset
from pictokg.serving.app import make_app
from pictokg.serving.gate import Gate
from pictokg.serving.limits import Limits
from pictokg.serving.served import Served, Service
from pictokg.serving.server import make_server


def write_picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (24, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve entities of which some have pictures; one picture is broken, one is gone."""
    folder = tmp_path_factory.mktemp("pictures")
    broken = folder / "broken.png"
    broken.write_bytes(b"no picture")
    (folder / "secret.txt").write_text("secret")
    pictures = {
        f"e{n}": [write_picture(folder / f"{n}-{i}.png", (n * 20, 90, 50 * i)) for i in range(2)] for n in (1, 2)
    }
    pictures["e4"] = [broken, folder / "gone.png"]
    descriptions = {f"e{n}": f"The entity that is number {n}." for n in range(8)}
    return replace(make_data(), pictures=pictures, descriptions=descriptions)


@pytest.fixture(scope="module")
def served(pictured: Dataset) -> list[Served]:
    both = pictokg.build("gated", pictured, dim=8)
    triples = pictokg.build("distmult", pictured, dim=8)
    return [Served("both", both, pictured), Served("triples", triples, pictured)]


@pytest.fixture(scope="module")
def client(served: list[Served]) -> Iterator[TestClient]:
    with TestClient(make_app(Service.of(served))) as found:
        yield found


class Live:
    """The service on a port of its own, as `pictokg serve` runs it, in a thread."""

    def __init__(self, app: Gate) -> None:
        self.server = make_server(app, "127.0.0.1", 0, "WARNING")
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive(), "the server did not end"


@pytest.fixture(scope="module")
def on_a_port() -> type[Live]:
    """For services that a test makes itself."""
    return Live


@pytest.fixture(scope="module")
def live(served: list[Served]) -> Iterator[str]:
    with Live(make_app(Service.of(served), hosts=["127.0.0.1", "localhost"])) as address:
        yield address


@pytest.fixture(scope="module")
def hurried(served: list[Served]) -> Iterator[str]:
    """A service that gives its clients very little time and room."""
    limits = Limits(body=2000, upload=4000, seconds_to_send=0.4)
    with Live(make_app(Service.of(served, limits))) as address:
        yield address


@pytest.fixture
def strict(served: list[Served]) -> Iterator[TestClient]:
    """A service with small limits, a token, and one name of its own."""
    limits = Limits(body=2000, upload=50_000, requests=2, seconds_to_send=0.3, seconds_to_answer=5)
    app = make_app(Service.of(served, limits), token="open-sesame", hosts=["testserver"])
    with TestClient(app) as found:
        yield found

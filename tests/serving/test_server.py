"""The service on a real port: slow clients, half requests, the command, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import pytest

import pictokg

PICTOKG = [sys.executable, "-c", "from pictokg.cli import main; main()"]


def connect(address: str) -> socket.socket:
    parsed = urlparse(address)
    return socket.create_connection((parsed.hostname, parsed.port), timeout=10)


def everything(connection: socket.socket) -> bytes:
    """Read until the server closes; fails after ten seconds."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("begun", [b"", b"GET /health", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_client_that_does_not_finish_its_headers_is_left(hurried: str, begun: bytes):
    with connect(hurried) as connection:
        connection.sendall(begun)
        assert everything(connection) == b""


def test_a_client_that_sends_headers_letter_by_letter_gets_no_more_time(hurried: str):
    with connect(hurried) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        connection.settimeout(0.05)
        sent = 0
        try:
            while sent < 200:
                connection.sendall(b"a")
                sent += 1
                with contextlib.suppress(TimeoutError):
                    assert connection.recv(1) == b"", "nothing is to be answered"
                    break
        except OSError:  # a broken pipe, or a reset
            pass
        assert sent < 200


def test_a_body_that_does_not_come_is_a_408_and_others_are_served(hurried: str):
    with connect(hurried) as slow:
        slow.sendall(b"POST /answers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert json.load(urllib.request.urlopen(f"{hurried}/health"))["status"] == "ok"
        assert everything(slow).startswith(b"HTTP/1.1 408")


def test_headers_and_bodies_without_end_are_cut(hurried: str):
    with connect(hurried) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 60_000)
        assert everything(connection).startswith(b"HTTP/1.1 400")
    with connect(hurried) as connection:
        connection.sendall(b"POST /answers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 413")


def test_what_is_no_http_is_refused(hurried: str):
    with connect(hurried) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 400")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    rows = [f"e{n}\tr{n % 2}\te{(n * 7 + 1) % 30}" for n in range(60)]
    (folder / "data").mkdir()
    (folder / "data" / "train.tsv").write_text("\n".join(dict.fromkeys(rows[:40])) + "\n")
    (folder / "data" / "valid.tsv").write_text("\n".join(dict.fromkeys(rows[40:])) + "\n")
    command = ["train", str(folder / "data"), "--model", "distmult", "--set", "epochs=1", "--set", "dim=4"]
    done = subprocess.run(
        [*PICTOKG, *command, "--out", str(folder / "run"), "--threads", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_command_serves_a_run_logs_json_and_ends_well(run_folder: Path):
    port = free_port()
    started = subprocess.Popen(
        [*PICTOKG, "serve", str(run_folder), "--port", str(port), "--threads", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PICTOKG_TOKEN": "a-long-token"},
    )
    try:
        lines = []
        while "Uvicorn running" not in "".join(lines[-1:]):
            lines.append(started.stderr.readline())
            assert lines[-1], "".join(lines)
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/answers?head=e1&relation=r1", headers={"Authorization": "Bearer a-long-token"}
        )
        answers = json.load(urllib.request.urlopen(asked))["answers"]
        run = pictokg.Predictor(*loaded(run_folder)).tails("e1", "r1")
        assert [answer["name"] for answer in answers] == [answer.name for answer in run]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/answers?head=e1&relation=r1")
        with socket.socket() as elsewhere:  # bound to loopback only
            elsewhere.settimeout(2)
            own = socket.gethostbyname(socket.gethostname())
            assert own.startswith("127.") or elsewhere.connect_ex((own, port)) != 0
    finally:
        started.send_signal(signal.SIGTERM)
        rest = started.communicate(timeout=30)[1]
    logged = [json.loads(line) for line in [*lines, *rest.splitlines()] if line.startswith("{")]
    requests = [line for line in logged if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in requests] == [("/answers", 200), ("other", 401)]
    assert "a-long-token" not in json.dumps(logged)
    assert started.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in rest


def loaded(folder: Path) -> tuple:
    from pictokg.run import load_run

    run = load_run(folder)
    return run.model, run.data


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--token", "short"], "at least 8 characters"),
        (["--log-level", "inf"], "did you mean 'info'?"),
        (["nothing"], "is no run folder"),
        (["--host", "203.0.113.9"], "cannot listen on port 8000 of 203.0.113.9"),
        (["--host", "no such host"], "cannot listen on port 8000 of no such host"),
    ],
)
def test_the_command_says_what_is_wrong(run_folder: Path, options: list[str], said: str):
    done = subprocess.run(
        [*PICTOKG, "serve", str(run_folder), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(run_folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*PICTOKG, "serve", str(run_folder), "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot listen on port {port} of 127.0.0.1 (Address already in use)" in done.stderr
    assert "the page" not in done.stderr

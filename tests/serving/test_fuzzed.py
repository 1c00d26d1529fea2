"""Requests that schemathesis makes from the service's own OpenAPI: valid ones, and ones that break the schema."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
OPERATIONS = [
    ("GET", "/answers"),
    ("POST", "/answers"),
    ("GET", "/complete"),
    ("POST", "/complete"),
    ("GET", "/explain"),
    ("POST", "/explain"),
    ("GET", "/entities"),
    ("GET", "/relations"),
    ("GET", "/search"),
    ("GET", "/images"),
    ("GET", "/health"),
    ("POST", "/newcomers"),
]


def test_every_operation_of_the_schema_is_fuzzed(client: TestClient):
    paths = client.get("/openapi.json").json()["paths"]
    declared = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert declared == {*OPERATIONS, ("GET", "/metrics")}  # which takes nothing


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_breaks_the_service_or_its_promises(live: str, method: str, path: str):
    schema = schemathesis.openapi.from_url(f"{live}/openapi.json")
    operation = schema[path][method]
    counted = 0
    modes = [GenerationMode.POSITIVE] if path == "/health" else list(GenerationMode)
    for mode in modes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            strategy = operation.as_strategy(generation_mode=mode)

        @settings(
            max_examples=6,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def attempt(case: schemathesis.Case) -> None:
            nonlocal counted
            case.call_and_validate(checks=CHECKS)
            counted += 1

        attempt()
    assert counted >= 1

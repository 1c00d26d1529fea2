"""What Prometheus reads: requests, their times, and how many are at work."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter("pictokg_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "pictokg_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.at_work = Gauge("pictokg_requests_at_work", "Requests being answered.", registry=self.registry)
        self.questions = Counter("pictokg_questions", "Questions answered.", ("run",), registry=self.registry)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)

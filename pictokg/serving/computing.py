"""Work that computes leaves the event loop, so that a slow answer does not hold up a fast one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

T = TypeVar("T")


async def compute(request: Request, work: Callable[[], T]) -> T:
    """Run `work` of milliseconds on a thread of the service."""
    return await asyncio.get_running_loop().run_in_executor(request.app.state.service.pool, work)


async def compute_slowly(request: Request, work: Callable[[], T]) -> T:
    """Run `work` that may take seconds on the one thread for such, so that it never takes those of the answers."""
    return await asyncio.get_running_loop().run_in_executor(request.app.state.service.slow, work)

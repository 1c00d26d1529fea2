"""What the C library does with memory that is freed; nothing happens where it is not glibc."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Keep large blocks that are freed, because every training step asks for the same ones again.

    Otherwise each is handed back to the system and comes anew, page by page: a quarter of a step's time.
    """
    _call("mallopt", M_MMAP_THRESHOLD, 1 << 30)
    _call("mallopt", M_TRIM_THRESHOLD, (1 << 31) - 1)


def give_back_memory() -> None:
    """Hand free pages back to the system.

    Steps of many sizes (IKRL has another number of pictures at each) leave holes that fit nothing; over many epochs
    they grew to gigabytes.
    """
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*arguments)
    except (AttributeError, OSError, TypeError):  # another C library
        return

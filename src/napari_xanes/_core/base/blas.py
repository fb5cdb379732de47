"""BLAS held to one thread: work is spread over pixels instead, and by `engine.blocks` alone.

So sums come out the same on any number of cores.  And a thread of BLAS that has had work, be it a product of small matrices, looks
out for more for a tenth of a second, and takes a core from those that work over pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from threading import Lock, Thread
from typing import Any

from threadpoolctl import ThreadpoolController


class _OneBlasThread:
    """Holds BLAS to one thread as long as any run is inside.

    BLAS knows one number for the whole process, so runs that overlap must agree on who sets it back.  Each change
    is made from a thread of its own, as threadpoolctl lets only that thread change it again which did so first.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._limits is None:
                _in_own_thread(self._limit)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _in_own_thread(self._restore)

    def _limit(self) -> None:
        self._limits = _controller(len(sys.modules)).limit(limits=1, user_api="blas")

    def _restore(self) -> None:
        self._limits.restore_original_limits()
        self._limits = None


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Return what knows the BLAS libraries that are loaded; looking for them takes milliseconds."""
    return ThreadpoolController()


def _in_own_thread(job: Callable[[], None]) -> None:
    thread = Thread(target=job, name="BLAS threads")
    thread.start()
    thread.join()


one_blas_thread = _OneBlasThread()
"""The one context in which BLAS is held to one thread; around everything that limits BLAS by itself, too."""

"""More than one thread for BLAS, also where the tests are given one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from threadpoolctl import ThreadpoolController


@contextmanager
def two_blas_threads() -> Iterator[None]:
    """Let BLAS have two threads meanwhile, set from a thread of its own, as only who set them may do so again."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [one.num_threads for one in libraries]
    _in_own_thread(libraries, [2] * len(libraries))
    try:
        yield
    finally:
        _in_own_thread(libraries, before)


def _in_own_thread(libraries, numbers) -> None:
    def put() -> None:
        for one, number in zip(libraries, numbers, strict=True):
            one.set_num_threads(number)

    thread = Thread(target=put)
    thread.start()
    thread.join()

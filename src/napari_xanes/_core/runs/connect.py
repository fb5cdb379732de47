"""How a run comes to the workers of dask.distributed: a scheduler at an address, or processes on this machine."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.engine.blocks import default_workers

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 20
"""Seconds until a scheduler must answer."""
HERE = {
    "distributed.worker.profile.enabled": False,  # which take 2 % of a processor each from those that work
    "distributed.admin.tick.interval": "1s",
    "distributed.deploy.lost-worker-timeout": "2m",  # one that is started anew loads for long on a busy machine
}
"""How processes on this machine are otherwise than by default."""


@contextmanager
def connected(scheduler: str, workers: int | None = None) -> Iterator[Client]:
    """Give a client of the scheduler at an address, or with "local" of one with processes on this machine.

    Raises
    ------
    InputError
        If dask.distributed is not installed.
    DataFileError
        If no scheduler answers.
    """
    try:
        from dask import config
        from distributed import Client
    except ImportError:
        raise InputError(
            "a scheduler needs dask.distributed; install it with pip install 'napari-xanes[cluster]'."
        ) from None
    if scheduler == "local":
        with (
            config.set(HERE),
            _workers_here(workers or default_workers()) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    with _client_of(scheduler) as client:
        yield client


def _workers_here(count: int) -> Any:
    """Return a cluster of processes on this machine.

    They do not hear of Ctrl-C, which a terminal sends to every process of a command: this one has them end.
    """
    from distributed import LocalCluster

    with _deaf():
        return LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C from threads and processes that are begun meanwhile, and from those that they begin."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # begun by the first process it would undo what follows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _client_of(address: str) -> Client:
    """Return a client of a scheduler, which is asked before: where something else answers a client may wait for ever."""
    from distributed import Client, rpc
    from distributed.security import Security

    async def ask() -> Any:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as one:
            return await one.identity()

    try:
        if asyncio.run(asyncio.wait_for(ask(), PATIENCE))["type"] == "Scheduler":
            return Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:100] or f"not within {PATIENCE} s"
        raise DataFileError(
            f"no scheduler answers at {address} ({why}); start one with dask scheduler."
        ) from None
    except Exception:  # noqa: BLE001  whatever is read into what others say
        pass
    raise DataFileError(
        f"what answers at {address} is no scheduler; give the address that dask scheduler says when it starts."
    )

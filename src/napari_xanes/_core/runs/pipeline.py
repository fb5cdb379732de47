"""Steps carried out on a stack: the one runner behind the window, the command line and scripts.

The stack can be kept as it is after the last step, which is how the window works, a step at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from math import prod
from typing import Any, NoReturn

from napari_xanes._core.base.blas import one_blas_thread
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.slabs import MapSink
from napari_xanes._core.io.companions import find_companions
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._core.recipe.steps import STEPS, check_steps
from napari_xanes._core.runs.unpack import unpacked

logger = logging.getLogger("napari_xanes")


def run_steps(
    stack: EnergyStack,
    steps: Sequence[tuple[str, Params]],
    *,
    keep_stack: bool = False,
    on_demand: bool = False,
    kinds: Collection[str] = (),
    progress: Progress | None = None,
    in_memory: bool | None = None,
    workers: int | None = None,
    sink: MapSink | None = None,
) -> Result:
    """Carry out steps on an open stack; with `keep_stack` the stack after them is in the result.

    If that is to be computed `on_demand`, it takes no memory: its data are a `ComputedStack`.  Only maps of the given `kinds` are kept, such as "fraction"; all, if there are none.  Maps of volumes are put into the
    `sink` if there is one.  See `run_recipe` for the other parameters.  The input stack is never written to.
    """
    report = progress or no_progress
    with ExitStack() as held:
        held.enter_context(one_blas_thread)
        held.enter_context(files_kept_open())
        ready = stack
        if in_memory is None and not keep_stack:
            ready = held.enter_context(unpacked(stack, steps, report, workers))
        chosen = choose_memory(ready) if in_memory is None else in_memory
        on_demand = on_demand and keep_stack
        chain = Chain(ready, chosen and not on_demand, workers, kinds, sink, on_demand)
        _carry_out(chain, steps, report)
        data = chain.view(report) if on_demand else chain.run(keep_stack=keep_stack, progress=report)
    history = (*stack.history, *chain.entries)
    kept = None
    if data is not None:
        thickness = chain.maps["thickness"].data if "thickness" in chain.maps else chain.thickness
        kept = stack.replace(
            data=data,
            energy=chain.energy,
            signal=chain.signal,
            pixel_size_um=chain.pixel_size_um,
            flat=None,
            dark=None,
            thickness=thickness if chain.signal == "normalized" else None,
            history=history,
        )
    maps = {name: one for name, one in chain.maps.items() if chain.wants(one.kind)}
    warnings = (*_warnings(chain), *_unknown_kinds(chain))
    said = len(stack.warnings) if stack.history else 0  # by the steps before
    for warning in warnings[said:]:
        logger.warning("%s: %s", stack.name, warning)
    return Result(
        maps={name: m.data for name, m in maps.items()},
        info={name: _info(m) for name, m in maps.items()},
        energy=chain.energy,
        history=history,
        source=stack.source,
        labels=chain.labels,
        tables=chain.tables,
        pixel_size_um=chain.pixel_size_um,
        name=stack.name,
        stack=kept,
        extra=chain.extra,
        warnings=warnings,
    )


def _carry_out(chain: Chain, steps: Sequence[tuple[str, Params]], progress: Progress) -> None:
    """Add the steps to the chain, once it is known that each can follow on the one before."""

    def refuse(name: str, error: InputError) -> NoReturn:
        said = f"{chain.stack.name or 'the stack'}, {name}: {error}"
        beside = find_companions(chain.stack) if name == "flat_field" else ()
        for one in beside[:1]:
            said = f"{said.rstrip('.')}; {one.title} beside it would fit: {one.settings()} in [input]."
        raise InputError(said) from None

    check_steps(chain.stack, steps, refuse)
    for name, params in steps:
        logger.info("%s: %s", chain.stack.name, name)
        try:
            STEPS[name].carry_out(chain, params, progress)
        except InputError as error:
            refuse(name, error)


def choose_memory(stack: EnergyStack) -> bool:
    """Whether to keep the stack in memory: only where streaming would unpack every frame again and again."""
    fits = 4 * prod(stack.shape) < 0.5 * free_memory()
    return fits and not stack.cheap_rows


def _unknown_kinds(chain: Chain) -> tuple[str, ...]:
    """Say which kinds of maps were asked for that no step made."""
    made = {one.kind for one in chain.maps.values()}
    missing = [kind for kind in chain.kinds if kind not in made]
    return tuple(
        f"no step makes maps of kind '{kind}'; there are {', '.join(sorted(made))}" for kind in missing
    )


def _info(named: NamedMap) -> dict[str, Any]:
    return {"kind": named.kind, "unit": named.unit, "reference": named.reference}


def _warnings(chain: Chain) -> tuple[str, ...]:
    """Collect what the reader and the steps warned of, in order."""
    return (*chain.stack.warnings, *(text for entry in chain.entries for text in entry.warnings))

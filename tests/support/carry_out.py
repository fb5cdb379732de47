"""One step carried out on a chain, and what its entry in the history says by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_xanes._core.base.params import Params, make_params
from napari_xanes._core.base.progress import no_progress
from napari_xanes._core.data.history import Entry
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step


@dataclass
class Carried:
    """A step that was carried out; what is found in later passes is seen here, too."""

    step: Step[Any]
    chain: Chain
    number: int

    @property
    def entry(self) -> Entry:
        return self.chain.entries[self.number]

    @property
    def resolved(self) -> Any:
        return make_params(self.step.params, self.entry.params, self.step.name)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.entry.warnings

    def __getitem__(self, fact: str) -> Any:
        return self.entry.facts[fact]


def carry_out(step: Step[Any], chain: Chain, params: Params | None = None) -> Carried:
    """Carry out a step, with its defaults if nothing else is given."""
    number = len(chain.entries)
    step.carry_out(chain, step.params() if params is None else params, no_progress)
    return Carried(step, chain, number)

"""A step said once: its name and words, its parameters, what it takes and gives, and the function that carries it out.

A `Step` is declared beside its function.  The table of steps, recipes, the command line, histories, scripts,
estimates, previews and the panels of the window are all made from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Entry, Found
from napari_xanes._core.data.stack import SIGNALS, EnergyStack, Signal
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines

P = TypeVar("P", bound=Params)


def no_lines(params: dict[str, Any], before: Before) -> Lines | None:
    """Say that only the recipe does what a step does."""
    return None


@dataclass(frozen=True, kw_only=True)
class Step(Generic[P]):
    """The declaration of a step.

    Attributes
    ----------
    name : str
        As recipes have it, ``do = "name"``.
    title, does : str
        What it is called in the window, and what it does in half a sentence.
    params : type
        The class of its parameters.
    run : callable
        Adds the step to a chain and returns its parameters as resolved, and what it found.
    order : int
        Its place among the steps in lists and in the template of a recipe.
    takes : tuple of str
        Signals of the stacks that it works on.
    gives : str, optional
        The signal of what comes out; as what goes in, if None.
    makes : tuple of str
        Kinds of the maps that it makes.
    map_count : callable
        Returns how many maps it makes with some parameters, for estimates of memory and disk.
    kept_count : callable
        Returns how many numbers a pixel are kept besides, by which single frames can be computed on demand.
    measures : bool
        It only measures and leaves the stack as it is.
    moves_pixels : bool
        After it a pixel is another place of the sample.
    whole_frames : bool
        It makes frames of frames and knows nothing of maps.
    looks_back : bool
        It needs what steps before it found.
    after : tuple of str
        Steps that must stay before it where both are done.
    code : callable
        Returns the lines of Python that do the same, or None where only the recipe does.
    check : callable
        Refuses a stack of a signal that lacks what the step needs, or parameters that cannot be for it, before any work is done.
    usual : bool
        It is part of the main job, so that the template of a recipe has it without a comment sign.
    starts : mapping
        What forms and the template start from where that is not the default, which recipes that leave it out hold to.
    """

    name: str
    title: str
    does: str
    params: type[P]
    run: Callable[[Chain, P, Progress], tuple[P, Found]]
    order: int
    takes: tuple[Signal, ...] = SIGNALS
    gives: Signal | None = None
    makes: tuple[str, ...] = ()
    map_count: Callable[[P], int] = lambda params: 0
    kept_count: Callable[[P], int] = lambda params: 0
    measures: bool = False
    moves_pixels: bool = False
    whole_frames: bool = False
    looks_back: bool = False
    after: tuple[str, ...] = ()
    code: Callable[[dict[str, Any], Before], Lines | None] = no_lines
    check: Callable[[EnergyStack, Signal, P], None] = lambda stack, signal, params: None
    usual: bool = False
    starts: Mapping[str, Any] = field(default_factory=dict)

    def carry_out(self, chain: Chain, params: P, progress: Progress) -> None:
        """Add the step to a chain and write down what was done; what is found in a later pass is added then."""
        at = len(chain.entries)
        chain.entries.append(Entry(self.name))
        resolved, found = self.run(chain, params, progress)
        early = chain.entries[at]  # of a pass that the step itself has made
        done = Entry(self.name, resolved.model_dump(mode="json", exclude_none=True))
        chain.entries[at] = done.having(found).having(Found(early.facts, early.warnings))

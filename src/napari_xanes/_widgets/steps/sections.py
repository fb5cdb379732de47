"""The sections of the workflow in order: which steps stand in each, and where one goes on."""

from __future__ import annotations

from dataclasses import dataclass

from napari_xanes._core.data.stack import SIGNAL_WORDS, Signal
from napari_xanes._core.recipe.steps import STEPS, missing_before


@dataclass(frozen=True)
class Section:
    """A numbered section of the workflow.

    Attributes
    ----------
    key, title : str
    steps : tuple of str
        Names of the steps that it runs.
    opens_for : tuple of str
        Signals of stacks from files with which one begins here.
    then : str
        Key of the section that is unfolded when this one is done; empty if one looks at what it found.
    """

    key: str
    title: str
    steps: tuple[str, ...] = ()
    opens_for: tuple[Signal, ...] = ()
    then: str = ""


PREPROCESS = Section(
    "preprocess", "Preprocess", ("flat_field", "optical_density"), ("counts", "transmission"), "align"
)
ALIGN = Section("align", "Align", ("align",), ("optical_density",), "normalize")
NORMALIZE = Section("normalize", "Normalise", ("normalize",), then="fit")
FIT = Section("fit", "Fit", ("fit",), ("normalized",), "results")
MAPS = Section("maps", "Maps", ("peak", "edge_position", "white_line", "shift_map"))
CLUSTERS = Section("clusters", "Clusters", ("cluster", "decompose"))
MASKS = Section("masks", "Masks", ("mask",))
RESULTS = Section("results", "Recipe and results")

SECTIONS = (PREPROCESS, ALIGN, NORMALIZE, FIT, MAPS, CLUSTERS, MASKS, RESULTS)


def numbered(section: Section) -> str:
    """Return what a section is called with its number, as the workflow shows it."""
    return f"{SECTIONS.index(section) + 1} {section.title}"


def first_section(signal: Signal) -> Section:
    """Return where one begins with a stack that was opened."""
    return next(one for one in SECTIONS if signal in one.opens_for)


def what_is_missing(step: str, signal: Signal) -> str:
    """Say which section comes first for a step to work on a stack of a signal; empty if it does already."""
    declared = STEPS[step]
    if signal in declared.takes:
        return ""
    if signal == "normalized":
        return "Nothing to do: this stack is normalised already."
    first = missing_before(declared, signal)
    section = next(one for one in SECTIONS if first[0] in one.steps)
    wanted = " or ".join(
        "normalised spectra" if one == "normalized" else SIGNAL_WORDS[one] for one in reversed(declared.takes)
    )
    return f"Needs {wanted}, this stack is {SIGNAL_WORDS[signal]}: run {numbered(section)} first."

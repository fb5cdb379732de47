"""What a run tells on the terminal: how far it is (a bar, or a line per stage), and what its steps chose and found."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress as Report
from napari_xanes._core.base.words import LONGEST, fact_text, part_text
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.edited import UNTOLD
from napari_xanes._core.recipe.steps import STEPS

LONG = 10.0
"""Seconds of a stage after which it is said how long it will take."""


@contextmanager
def shown_progress(name: str) -> Iterator[Report]:
    """Give a progress callback that shows the work on a scan called `name`."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total, text: bar.update(
                task, completed=done, total=total, description=f"{name}: {text}"
            )
    else:
        yield lines(name)


def lines(name: str) -> Report:
    """Return a progress callback that writes a line for each stage of the work on a scan."""
    return _Lines(name)


class _Lines:
    """Writes a line to stdout whenever a new stage of the work begins, and how long it will take if that is long."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stage = ""
        self.began, self.told = 0.0, False

    def __call__(self, done: int, total: int, text: str) -> None:
        if text and text != self.stage:
            self.stage, self.began, self.told = text, time.monotonic(), False
            self._say(text)
        since = time.monotonic() - self.began
        if not self.told and done and since > LONG:
            self.told = True
            left = since * (total - done) / done
            if left > LONG:
                self._say(f"{text or self.stage}: about {_duration(left)} more")

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{self.name}: {text}\n")
        sys.stdout.flush()


def _duration(seconds: float) -> str:
    """Return a time in words, as exactly as it can be known."""
    if seconds < 90:
        return f"{round(seconds / 10) * 10} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def describe_steps(result: Result, asked: Sequence[tuple[str, Params]]) -> list[str]:
    """Return a line for each step of a run: what it chose for itself, and what it found; of pixels, which part of all."""
    lines, done = [], result.history[-len(asked) :]
    total = max((prod(values.shape) for values in result.maps.values()), default=0)
    for number, (entry, (name, params)) in enumerate(zip(done, asked, strict=True)):
        whole = total * (not any(STEPS[later.step].moves_pixels for later in done[number + 1 :]))
        given = params.model_dump(mode="json", exclude_none=True)
        chose = {key: value for key, value in entry.params.items() if given.get(key) != value}
        facts = {key: value for key, value in entry.facts.items() if key not in UNTOLD}
        told = [
            f"{key} = {_short(key, value)}{_part(key, value, whole)}"
            for key, value in {**chose, **facts}.items()
            if _is_short(key, value)
        ]
        lines.append(f"{name}: {', '.join(told) or 'done'}")
    return lines


def _part(key: str, value: Any, whole: int) -> str:
    """Return which part of all pixels a count is, "" of what is none."""
    counts = key.startswith("pixels_") or key.endswith("_pixels") or key == "invalid_fractions"
    return f" ({part_text(value, whole)})" if whole and counts and isinstance(value, int) and value else ""


def _is_short(key: str, value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        if key.endswith("_frames"):
            return bool(value)
        return 0 < len(value) <= 4 and not any(isinstance(v, (list, dict)) or len(str(v)) > 40 for v in value)
    return value is not None and not isinstance(value, dict)


def _short(key: str, value: Any) -> str:
    if key.endswith("_frames"):
        return fact_text(key, value) if len(value) <= LONGEST else str(len(value))
    if isinstance(value, (list, tuple)):
        window = len(value) == 2 and all(isinstance(v, float) for v in value) and value[0] < value[1]
        return (" to " if window else ", ").join(_short(key, one) for one in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)

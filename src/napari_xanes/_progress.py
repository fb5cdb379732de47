"""Progress on the terminal: a bar where there is a terminal, a line per stage where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_xanes._core.progress import Progress as Report


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
        yield _Lines(name)


class _Lines:
    """Writes a line to stdout whenever a new stage of the work begins."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stage = ""

    def __call__(self, done: int, total: int, text: str) -> None:
        if text and text != self.stage:
            self.stage = text
            sys.stdout.write(f"{self.name}: {text}\n")
            sys.stdout.flush()

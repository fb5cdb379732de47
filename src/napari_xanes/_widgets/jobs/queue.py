"""The scans of a batch and what has become of each, told line by line by the process that runs them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_xanes._core.runs.batch import name_of

OPEN = ("waiting", "running")
AGAIN = ("failed", "cancelled")
COMING = ("being written", "whole")
"""In a folder that is watched."""
STATES = (*OPEN, *COMING, "done", *AGAIN)
CRASHED = "the process that ran it ended without a word; the log of the system may say why, such as that memory was full"


@dataclass(frozen=True)
class Row:
    """A scan, its state, the part (0 to 1) that is done and what is being done, seconds, result file, and what is said."""

    scan: str
    state: str = "waiting"
    part: float = 0.0
    doing: str = ""
    seconds: float = 0.0
    result: str = ""
    said: str = ""

    @property
    def progress(self) -> str:
        """The state in words."""
        if self.state == "running":
            return f"{100 * self.part:.0f} %"
        return f"{self.state}, {self.seconds:.0f} s" if self.state == "done" and self.seconds else self.state


class Queue:
    """Scans in their order; `rows` by scan."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def add(self, scans: Iterable[str | Path]) -> list[str]:
        """Put scans at the end that are not there; those that are done, failed or were cancelled wait again.

        Returns a sentence on each that is left out, because its result would have the name of another's.
        """
        names, refused = {name_of(Path(scan)): scan for scan in self.rows}, list[str]()
        for scan in map(os.path.abspath, scans):
            name = name_of(Path(scan))
            if (other := names.setdefault(name, scan)) != scan:
                refused.append(
                    f"{scan} is left out: its result and that of {other} would both be {name}.h5; rename one, or remove "
                    "the other when it is done and choose another folder for the results."
                )
            elif scan not in self.rows or self.rows[scan].state not in OPEN:
                self.rows[scan] = Row(scan)
        return refused

    def next(self) -> str | None:
        """Return the scan that is to be run next."""
        return next((scan for scan, row in self.rows.items() if row.state == "waiting"), None)

    def set(self, scan: str, state: str, said: str = "") -> None:
        """Give a scan another state."""
        self.rows[scan] = replace(self.rows[scan], state=state, said=said)

    def retry(self, scans: Sequence[str]) -> None:
        """Let scans that failed or were cancelled wait again."""
        for scan in scans:
            if self.rows[scan].state in AGAIN:
                self.rows[scan] = Row(scan)

    def remove(self, scans: Sequence[str]) -> None:
        """Forget scans that are not being run."""
        for scan in scans:
            if self.rows[scan].state != "running":
                del self.rows[scan]

    def take(self, line: str) -> bool:
        """Take in a line of json from the process; returns whether it was one that tells of a scan."""
        try:
            told = json.loads(line) if line.startswith("{") else None
        except ValueError:
            return False
        if not isinstance(told, dict) or not isinstance(told.get("scan"), str):
            return False
        scan = os.path.abspath(told["scan"])
        before = self.rows.get(scan, Row(scan))
        known = {key: told[key] for key in ("part", "doing", "seconds", "result", "said") if key in told}
        if told.get("state") in STATES:
            known["state"] = told["state"]
        self.rows[scan] = replace(before, **known)
        for other, row in self.rows.items() if known.get("result") else ():
            if other != scan and row.result == known["result"]:
                self.rows[other] = replace(row, result="", said=f"its result was replaced by that of {scan}")
        return True

    def ended(self, errors: str, cancelled: bool) -> None:
        """Settle what the process was running when it ended with its last words."""
        for scan, row in self.rows.items():
            if row.state in COMING or (row.state == "running" and cancelled):
                self.set(scan, "cancelled")
            elif row.state == "running":
                self.set(scan, "failed", last_error(errors))

    def summary(self) -> str:
        """Return what has come of the scans, in a sentence."""
        states = [row.state for row in self.rows.values()]
        counted = [f"{states.count(state)} {state}" for state in STATES if state in states]
        return ", ".join(counted)


def last_error(errors: str) -> str:
    """Return the last sentence on an error among what a process wrote, or that there is none."""
    return next((line[7:] for line in reversed(errors.splitlines()) if line.startswith("error: ")), CRASHED)

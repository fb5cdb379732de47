"""What was done to a stack: each step with its resolved parameters, what it found and what it warned of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from napari_xanes._core.base.errors import InputError


class Grave(str):
    """A warning that the result may be wrong: it is told before those that say what was chosen or left out."""

    __slots__ = ()


class Found:
    """What a step notes while it runs: facts by name, as json can write them, and warnings for the user."""

    def __init__(self, facts: Mapping[str, Any] | None = None, warnings: Iterable[str] = ()) -> None:
        self.facts: dict[str, Any] = dict(facts or {})
        self.warnings: list[str] = list(warnings)

    def __setitem__(self, name: str, value: Any) -> None:
        self.facts[name] = value

    def update(self, facts: Mapping[str, Any]) -> None:
        """Note several facts."""
        self.facts.update(facts)

    def warn(self, *sentences: str) -> None:
        """Note what the user should know of."""
        self.warnings.extend(sentences)


@dataclass(frozen=True)
class Entry:
    """One step that was carried out.

    Attributes
    ----------
    step : str
        Its name.
    params : mapping
        Its parameters as resolved, plain values as json can write them.
    facts : mapping
        What it found, such as counts of invalid pixels.
    warnings : tuple of str
        Sentences about what was not as it should be but did not stop it, the grave ones first.
    """

    step: str
    params: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def having(self, found: Found) -> Entry:
        """Return the entry with more that was found."""
        said = (*self.warnings, *found.warnings)
        warnings = tuple(sorted(said, key=lambda one: not isinstance(one, Grave)))
        return replace(self, facts={**self.facts, **found.facts}, warnings=warnings)

    def __getitem__(self, key: str) -> Any:
        """Return "do", "params" or "found" as files keep them, which scripts may have read before there was this class."""
        return self.to_json()[key]

    def to_json(self) -> dict[str, Any]:
        """Return the entry as files and layers keep it."""
        warnings = {"warnings": list(self.warnings)} if self.warnings else {}
        return {"do": self.step, "params": dict(self.params), "found": {**self.facts, **warnings}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Entry:
        """Return the entry that a file or a layer keeps."""
        facts = dict(value.get("found", {}))
        warnings = facts.pop("warnings", ())
        return cls(value["do"], dict(value.get("params", {})), facts, tuple(warnings))


History = tuple[Entry, ...]


def history_from_json(values: Iterable[Mapping[str, Any] | Entry]) -> History:
    """Return the history that a file or a layer keeps; entries are taken as they are."""
    entries = list(values) if isinstance(values, Iterable) else [values]
    if not all(_is_entry(one) for one in entries):
        raise InputError("the history is not one that this program wrote; leave it out.")
    return tuple(one if isinstance(one, Entry) else Entry.from_json(one) for one in entries)


def _is_entry(one: object) -> bool:
    return isinstance(one, Entry) or (isinstance(one, Mapping) and isinstance(one.get("do"), str))


def history_to_json(history: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return a history as files and layers keep it."""
    return [entry.to_json() for entry in history]


def last_entry(history: Sequence[Entry], step: str) -> Entry | None:
    """Return how a step was carried out the last time; None if it was not."""
    return next((entry for entry in reversed(history) if entry.step == step), None)

"""What steps found and warned of."""

from __future__ import annotations

import json

from napari_xanes._core.data.history import Entry, Found, Grave


def test_what_may_be_wrong_is_said_before_what_was_chosen():
    """Either in the order in which it was found; so it stays in files."""
    found = Found(warnings=["a mean was taken", Grave("steps are negative"), "frames were left out"])
    entry = Entry("fit").having(found).having(Found(warnings=[Grave("a reference seems to be missing")]))
    told = (
        "steps are negative",
        "a reference seems to be missing",
        "a mean was taken",
        "frames were left out",
    )
    assert entry.warnings == told == Entry.from_json(json.loads(json.dumps(entry.to_json()))).warnings

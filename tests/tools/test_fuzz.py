"""Two thousand damaged and odd files: each is read, or refused in one sentence, soon and in little memory.

`python tools/fuzz.py 100000` tries as many as one likes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import fuzz

    yield fuzz
    for name in ("fuzz", "fuzz_inputs"):
        sys.modules.pop(name, None)


def test_two_thousand_damaged_files_are_met_in_words(fuzz):
    seen, failed = fuzz.campaign(2000, seed=1)
    assert not failed, "\n".join(failed)
    assert sum(seen.values()) == 2000 and seen["read"] > 100 and seen["refused"] > 1000


def test_what_fails_is_noticed(fuzz, tmp_path):
    """A child that dies, one that hangs and one that says nonsense are told, and the rest goes on."""
    stand_in = tmp_path / "child.py"
    stand_in.write_text(
        "import os, sys, time\n"
        "for n in range(int(sys.argv[4]), int(sys.argv[5])):\n"
        "    print('begin', n, 'tiff', flush=True)\n"
        "    if n == 2: os.kill(os.getpid(), 11)\n"
        "    if n == 5: time.sleep(600)\n"
        "    while n == 6: pass\n"
        "    print('end', n, 'tiff', 'FAILED: KeyError' if n == 7 else 'read', flush=True)\n"
    )
    fuzz.__file__, fuzz.HANGS, fuzz.WAITS = str(stand_in), 1, 5
    seen, failed = fuzz.campaign(9)
    assert failed == [
        "2 tiff FAILED: died of -11",
        "5 tiff FAILED: hung",
        "6 tiff FAILED: hung",
        "7 tiff FAILED: KeyError",
    ]
    assert seen == {"read": 5, "FAILED": 4}

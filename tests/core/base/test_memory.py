"""The memory that counts is that of this process: of the machine, its job, and its limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_xanes import ResourceError
from napari_xanes._core.base import memory


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 64 GiB free whose cgroups are files in a folder; returns what makes one."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=64 * 2**30))
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_limits", dict)

    def make(lines, files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        real = Path.read_text

        def read(path, *args, **kwargs):
            return lines if str(path) == "/proc/self/cgroup" else real(path, *args, **kwargs)

        monkeypatch.setattr(Path, "read_text", read)

    return make


V2 = {
    "job/step/memory.max": "max\n",
    "job/step/memory.current": "5\n",
    "job/memory.max": f"{8 * 2**30}\n",
    "job/memory.current": f"{3 * 2**30}\n",
    "job/memory.stat": f"anon 5\ninactive_file {2**30}\n",
}
V1 = {
    "memory/job/memory.limit_in_bytes": f"{8 * 2**30}\n",
    "memory/job/memory.usage_in_bytes": f"{3 * 2**30}\n",
    "memory/job/memory.stat": f"total_inactive_file {2**30}\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
}


@pytest.mark.parametrize(
    ("lines", "files"), [("0::/job/step\n", V2), ("5:cpu:/x\n4:memory:/job\n0::/\n", V1)], ids=["v2", "v1"]
)
def test_the_memory_of_a_job_counts(machine, lines, files):
    machine(lines, files)
    assert memory.free_memory() == 6 * 2**30  # what the page cache holds can be given back
    memory.check_memory(5 * 2**30, "it")
    with pytest.raises(ResourceError, match=r"it needs 7.0 GiB of memory, 6.0 GiB are free"):
        memory.check_memory(7 * 2**30, "it")


def test_without_limits_it_is_the_memory_of_the_machine(machine):
    machine("0::/\n", {})
    assert memory.free_memory() == 64 * 2**30


def test_a_container_sees_its_own_group_at_the_top(machine):
    machine("0::/docker/abc\n", {"memory.max": f"{2**30}\n", "memory.current": "0\n"})
    assert memory.free_memory() == 2**30


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_a_process_count(limit):
    pytest.importorskip("resource")
    code = (
        "import resource\nfrom napari_xanes._core.base.memory import free_memory\n"
        f"resource.setrlimit(resource.{limit}, (2**32, resource.RLIM_INFINITY))\nprint(free_memory() < 2**32)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"

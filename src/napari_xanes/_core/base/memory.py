"""What fits into memory: that of the machine, of the job or container this process runs in, and of its limits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from napari_xanes._core.base.errors import ResourceError

ENDLESS = 2**62
"""What stands for no limit."""
_CGROUPS = Path("/sys/fs/cgroup")


def check_memory(n_bytes: int, what: str) -> None:
    """Refuse with a ResourceError what does not fit into the memory that is free now."""
    free = free_memory()
    if n_bytes > 0.9 * free:
        raise ResourceError(
            f"{what} needs {n_bytes / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free; "
            "run it streamed from the file (in_memory=False), crop, or use a machine with more memory."
        )


def free_memory() -> int:
    """Return how many bytes this process can still have: of the machine, its cgroups and its limits the least."""
    return max(0, min(int(psutil.virtual_memory().available), _free_of_limits(), *_free_of_cgroups()))


def file_limit() -> int:
    """Return how many bytes a file of this process may have."""
    return _limits().get("RLIMIT_FSIZE", ENDLESS)


def _limits() -> dict[str, int]:
    """Return the limits that are set for this process, in bytes."""
    if sys.platform == "win32":
        return {}
    import resource

    found = {}
    for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_FSIZE"):
        soft = resource.getrlimit(getattr(resource, name))[0]
        if soft not in (resource.RLIM_INFINITY, -1) and soft < ENDLESS:
            found[name] = soft
    return found


def _free_of_limits() -> int:
    limits = _limits()
    used = psutil.Process().memory_info() if limits else None
    free = ENDLESS
    if used is not None and "RLIMIT_AS" in limits:
        free = min(free, limits["RLIMIT_AS"] - used.vms)
    if used is not None and "RLIMIT_DATA" in limits:
        free = min(free, limits["RLIMIT_DATA"] - getattr(used, "data", used.rss))
    return free


def _free_of_cgroups() -> Iterator[int]:
    """Yield what is free in the cgroup of this process and in those around it, of version 1 or 2."""
    for folder, most, used, cache in _cgroup_files():
        for place in (folder, *folder.parents):
            limit = _number(place / most)
            if limit is not None and limit < ENDLESS:
                yield limit - max(0, (_number(place / used) or 0) - _counted(place / "memory.stat", cache))
            if place == _CGROUPS:
                break


def _cgroup_files() -> Iterator[tuple[Path, str, str, str]]:
    """Yield the folder of the cgroup and the names of its limit, its use, and of the use that can be given back."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            folder, names = _CGROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            folder = _CGROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = folder / path.lstrip("/")
        yield (inside if inside.is_dir() else folder, *names)  # in a container the path is the host's


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _counted(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)

"""What fits into memory."""

from __future__ import annotations

import psutil

from napari_xanes._core.base.errors import ResourceError


def check_memory(n_bytes: int, what: str) -> None:
    """Refuse with a ResourceError what does not fit into the memory that is free now."""
    free = psutil.virtual_memory().available
    if n_bytes > 0.9 * free:
        raise ResourceError(
            f"{what} needs {n_bytes / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free; "
            "run it streamed from the file (in_memory=False), crop, or use a machine with more memory."
        )

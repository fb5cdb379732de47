"""Names of layers that are told by them."""

from __future__ import annotations

PREVIEW = "xanes_preview"
"""In a layer's metadata: it is no result, and whose preview it is."""

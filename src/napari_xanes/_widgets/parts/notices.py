"""Errors as notifications."""

from __future__ import annotations

import logging

from napari.utils.notifications import show_error

from napari_xanes._core.base.errors import XanesError
from napari_xanes._widgets.parts.spoken import spoken

logger = logging.getLogger("napari_xanes")


def report_error(error: Exception, title: str) -> str:
    """Show an error as one notification and return its sentence; a fault of ours also goes to the log."""
    if isinstance(error, XanesError):
        sentence = spoken(str(error))
        logger.info("%s: %s", title, sentence)
    elif isinstance(error, MemoryError):
        sentence = f"{title}: there is not enough memory; close other data or crop the stack."
    else:
        sentence = (
            f"{title}: internal fault ({type(error).__name__}: {error}); please report it with the log."
        )
        logger.error("%s failed", title, exc_info=error)
    show_error(sentence)
    return sentence

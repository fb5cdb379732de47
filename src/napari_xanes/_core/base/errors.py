"""The few exceptions of the project.

Each message is one sentence for the user: the thing, what was expected, what came, what to do.
The command line and the window show the message alone; anything else is a fault of ours.
"""

from typing import Any

LONGEST = 1000
"""Characters of a message; what came may have been a whole file."""


class XanesError(Exception):
    """Base of every error whose message is meant for the user: one line, of a length that can be read."""

    def __init__(self, message: object = "") -> None:
        text = " ".join(str(message).split())
        half = LONGEST // 2
        super().__init__(text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Have copies made by calling the class: tblib, by which workers send errors, would not, and fail of ResourceError."""
        return type(self), self.args, self.__dict__ or None


class InputError(XanesError, ValueError):
    """An argument, a parameter or the data do not allow the job."""


class DataFileError(XanesError, OSError):
    """A file is missing, unreadable, or does not hold what was asked for."""


class ResourceError(XanesError, MemoryError):
    """The job would need more memory or disk than there is."""


class Cancelled(Exception):
    """Raised by a progress callback to stop the work; whoever started the work catches it."""

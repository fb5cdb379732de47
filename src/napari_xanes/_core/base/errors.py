"""The few exceptions of the project.

Each message is one sentence for the user: the thing, what was expected, what came, what to do.
The command line and the window show the message alone; anything else is a fault of ours.
"""


class XanesError(Exception):
    """Base of every error whose message is meant for the user."""


class InputError(XanesError, ValueError):
    """An argument, a parameter or the data do not allow the job."""


class DataFileError(XanesError, OSError):
    """A file is missing, unreadable, or does not hold what was asked for."""


class ResourceError(XanesError, MemoryError):
    """The job would need more memory or disk than there is."""


class Cancelled(Exception):
    """Raised by a progress callback to stop the work; whoever started the work catches it."""

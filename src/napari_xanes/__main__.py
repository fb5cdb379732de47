"""``python -m napari_xanes`` is the command line."""

import os
import signal
import threading

from napari_xanes.cli import main


def _end_with_window() -> None:
    """Wait for the end of stdin, which comes when the window that holds its other end is gone in whatever way."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    if os.environ.pop("NAPARI_XANES_ENDS_WITH_STDIN", ""):
        threading.Thread(target=_end_with_window, daemon=True).start()
    main()

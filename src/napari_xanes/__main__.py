"""``python -m napari_xanes`` is the command line."""

from napari_xanes.cli import main

if __name__ == "__main__":
    main()

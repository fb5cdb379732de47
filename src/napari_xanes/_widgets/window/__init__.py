"""The workflow dock, the import dialog, keys, and starting napari."""

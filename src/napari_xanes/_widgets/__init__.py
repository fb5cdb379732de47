"""The window: the only place that knows Qt, magicgui and napari's layers.  No numerics, no file formats."""

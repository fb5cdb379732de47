"""XANES imaging: from a stack of X-ray images over energy to maps of elements and chemical states.

The names of ``__init__.pyi`` are the public API (``import napari_xanes as nx``).  They are loaded when first used,
so importing this package is quick and needs neither Qt nor napari.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

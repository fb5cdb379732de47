"""The package as it is installed: what it offers, what it needs, and one manifest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

import napari_xanes

ROOT = Path(__file__).parents[1]

QUIET = """
import sys
import napari_xanes as nx
for name in nx.__all__:
    getattr(nx, name)
import napari_xanes.cli
found = [m for m in ("napari", "npe2", "qtpy", "magicgui", "superqt", "pyqtgraph", "PyQt5", "PyQt6", "PySide6")
         if m in sys.modules]
sys.exit(f"imported: {found}" if found else 0)
"""


def test_every_public_name_is_there():
    for name in napari_xanes.__all__:
        assert getattr(napari_xanes, name) is not None, name
    assert set(napari_xanes.__all__) <= set(dir(napari_xanes))
    with pytest.raises(AttributeError, match="no_such_name"):
        napari_xanes.no_such_name  # noqa: B018


def test_the_library_and_the_command_line_load_no_window():
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_importing_is_light():
    """The names are loaded when first used: not even numpy comes with the package itself."""
    code = "import sys, napari_xanes; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


LOOKED = """
import sys
from napari_xanes.cli import app
app(["inspect", *sys.argv[1:]], standalone_mode=False)
print(*{name.split(".")[0] for name in sys.modules})
"""

HEAVY = {
    "scipy",
    "skimage",
    "sklearn",
    "matplotlib",
    "pystackreg",
    "xraydb",
    "sqlalchemy",
    "napari",
    "qtpy",
    "pyqtgraph",
}


@pytest.mark.parametrize(
    ("suffix", "others"), [(".tif", {"h5py", "hdf5plugin", "olefile"}), (".h5", {"tifffile"})]
)
def test_a_look_into_a_file_loads_what_reads_it_and_nothing_else(tmp_path, suffix, others):
    frames = np.arange(900, 900 + 5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    energy = np.linspace(7100, 7140, 5)
    if suffix == ".tif":
        tifffile.imwrite(tmp_path / "scan.tif", frames, photometric="minisblack")
        np.savetxt(tmp_path / "energies.txt", energy)
    else:
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file["images"], file["energy"] = frames, energy
    command = [sys.executable, "-c", LOOKED, str(tmp_path / f"scan{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "first energy: 7100.000 eV" in done.stdout, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "numpy" in loaded
    assert not loaded & (HEAVY | others)


def test_the_manifest_is_one_file():
    link = ROOT / "napari.yaml"
    inside = ROOT / "src" / "napari_xanes" / "napari.yaml"
    assert link.is_symlink() and link.resolve() == inside.resolve()


def test_the_manifest_is_valid_and_what_it_names_exists():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(ROOT / "napari.yaml")
    assert manifest.name == "napari-xanes"
    manifest.validate_imports()


def test_version_stands_in_one_place():
    from importlib.metadata import version

    assert version("napari-xanes") == napari_xanes.__version__
    for name in ("CHANGELOG.md", "CITATION.cff"):
        assert napari_xanes.__version__ in (ROOT / name).read_text(encoding="utf-8"), name

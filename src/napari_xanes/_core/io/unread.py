"""Files of the field that are not read here: what they are, and how to get out of them what is."""

from __future__ import annotations

from pathlib import Path

TIFF = "save it as TIFF with one page per energy"
_UNREAD: dict[tuple[str, ...], tuple[str, str]] = {
    (".bcf",): ("a Bruker .bcf project", "export the element map of every energy as TIFF from Esprit"),
    (".dm3", ".dm4"): (
        "a Gatan DigitalMicrograph file",
        "export it as TIFF from DigitalMicrograph or ImageJ",
    ),
    (".czi", ".lif", ".nd2", ".oif", ".oib"): ("a light microscope's file", f"open it in ImageJ and {TIFF}"),
    (".xim",): ("an image of an SDF scan", "open the header (.hdr) beside it"),
    (".txm",): ("a reconstructed Zeiss volume", "export it as TIFF and give one volume per energy"),
    (".mda",): ("an EPICS .mda scan", "fit it with XRF-Maps or PyXRF, or save its image as TIFF or HDF5"),
    (".spe",): ("a Princeton Instruments .spe file", f"open it in ImageJ or LightField and {TIFF}"),
    (".sif",): ("an Andor .sif file", "export it as TIFF from Solis"),
    (".fits", ".fit"): ("a FITS image", f"open it in ImageJ and {TIFF}"),
    (".nc", ".cdf"): ("a netCDF file", "save it as netCDF-4 (HDF5) with the suffix .h5, or as TIFF"),
    (".cbf",): ("a crystallography .cbf image", f"convert it with FabIO and {TIFF}"),
    (".raw", ".bin", ".img"): (
        "a file of bare numbers without a header",
        f"open it in ImageJ with File > Import > Raw... and {TIFF}",
    ),
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"): (
        "a picture for people, whose values are no measured intensities",
        "give the TIFF or HDF5 files that were measured",
    ),
    (".avi", ".mp4", ".mov", ".mkv"): ("a film", "give the TIFF or HDF5 files that were measured"),
    (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"): (
        "an archive",
        "unpack it and give the folder or file in it",
    ),
    (".xls", ".xlsx", ".ods"): ("a spreadsheet", "save the sheet as CSV"),
    (".opj", ".opju"): ("an Origin project", "export the worksheet as ASCII"),
    (".pdf", ".doc", ".docx", ".ppt", ".pptx"): ("a document", "give the files that were measured"),
    (".pkl", ".pickle", ".joblib"): (
        "a Python pickle, which can run foreign code when opened",
        "save the array with numpy.save or as TIFF",
    ),
    (".prj", ".xdi", ".nor", ".xmu"): (
        "a file of reference spectra",
        "give it as a reference of the fit, and a file of images as the scan",
    ),
}


def not_read(path: Path) -> str | None:
    """Return the end of a sentence on a file that is not read, told by its suffix; None if it is not known."""
    suffix = path.suffix.lower()
    for suffixes, (what, how) in _UNREAD.items():
        if suffix in suffixes:
            return f"is {what}, which is not read here; {how}."
    return None

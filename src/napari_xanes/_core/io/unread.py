"""Files of the field that are not read here: what they are, and how to get out of them what is."""

from __future__ import annotations

from pathlib import Path

TIFF = "save it as TIFF with one page per energy"
MAPS = "export the element map of every energy as TIFF"
_UNREAD: dict[tuple[str, ...], tuple[str, str]] = {
    (".bcf",): ("a Bruker .bcf project", f"{MAPS} from Esprit or M4 Tornado"),
    (".spx", ".rtx"): ("a Bruker spectrum or report", f"{MAPS} from Esprit or M4 Tornado"),
    (".rpl",): ("a Ripple header of spectra of pixels", f"fit the spectra and {MAPS}"),
    (".eds", ".pts", ".asw"): ("a JEOL file of spectra of pixels", f"{MAPS} from the microscope's program"),
    (".h5oina", ".oip"): ("an Oxford Instruments project", f"{MAPS} from AZtec"),
    (".mca", ".msa", ".emsa"): (
        "one spectrum of a detector",
        "fit it with PyXRF, PyMca or XRF-Maps and give maps",
    ),
    (".lst", ".blog", ".dai"): ("a list of detector events (GeoPIXE)", f"{MAPS} from GeoPIXE"),
    (".dm3", ".dm4"): (
        "a Gatan DigitalMicrograph file",
        "export it as TIFF from DigitalMicrograph or ImageJ",
    ),
    (".emd", ".ser", ".emi"): (
        "an electron microscope's file",
        "export it as TIFF, or save it as .hspy with HyperSpy",
    ),
    (".tpx3", ".t3pa"): ("Timepix3 events", "reconstruct images of counts and save them as TIFF or HDF5"),
    (".czi", ".lif", ".nd2", ".oif", ".oib", ".lsm", ".vsi", ".ims"): (
        "a light microscope's file",
        f"open it in ImageJ and {TIFF}",
    ),
    (".xim",): ("an image of an SDF scan", "open the header (.hdr) beside it"),
    (".txm",): ("a reconstructed Zeiss volume", "export it as TIFF and give one volume per energy"),
    (".vol", ".vgi", ".vgl", ".am", ".nrrd", ".mhd", ".mha", ".nii"): (
        "a volume of a tomography or medical program",
        "save it as TIFF, one volume per energy",
    ),
    (".mda",): ("an EPICS .mda scan", "fit it with XRF-Maps or PyXRF, or save its image as TIFF or HDF5"),
    (".spe",): ("a Princeton Instruments .spe file", f"open it in ImageJ or LightField and {TIFF}"),
    (".sif",): ("an Andor .sif file", "export it as TIFF from Solis"),
    (".his", ".hst"): ("a flat panel's .his sequence", f"open it in ImageJ and {TIFF}"),
    (".sxm", ".ibw", ".pxp", ".pxt", ".gwy"): (
        "a file of Igor or of a probe microscope",
        "export its images as TIFF from Gwyddion or Igor",
    ),
    (".fits", ".fit", ".fts"): ("a FITS image", f"open it in ImageJ and {TIFF}"),
    (".nc", ".cdf"): ("a netCDF file", "save it as netCDF-4 (HDF5) with the suffix .h5, or as TIFF"),
    (".cbf", ".mar2300", ".mar3450", ".mccd", ".marccd", ".sfrm", ".gfrm"): (
        "a diffraction detector's image",
        f"convert it with FabIO and {TIFF}",
    ),
    (".raw", ".bin", ".img", ".b16"): (
        "a file of bare numbers without a header that is known",
        f"open it in ImageJ with File > Import > Raw... and {TIFF}",
    ),
    (".hdf4",): ("an HDF4 file", "convert it to HDF5 with h4toh5convert"),
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2", ".psd", ".svg", ".heic"): (
        "a picture for people, whose values are no measured intensities",
        "give the TIFF or HDF5 files that were measured",
    ),
    (".avi", ".mp4", ".mov", ".mkv"): ("a film", "give the TIFF or HDF5 files that were measured"),
    (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"): (
        "an archive",
        "unpack it and give the folder or file in it",
    ),
    (".xls", ".xlsx", ".ods", ".parquet", ".feather"): (
        "a table of a spreadsheet or program",
        "save it as CSV",
    ),
    (".opj", ".opju"): ("an Origin project", "export the worksheet as ASCII"),
    (".pdf", ".doc", ".docx", ".ppt", ".pptx"): ("a document", "give the files that were measured"),
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): (
        "a Python pickle, which can run foreign code when opened",
        "save the array with numpy.save or as TIFF",
    ),
    (".prj", ".xdi", ".nor", ".xmu"): (
        "a file of reference spectra",
        "give it as a reference of the fit, and a file of images as the scan",
    ),
}
TOLD = (".bcf", ".spx", ".txm", ".xim", ".mda", ".rpl", ".h5oina")
"""Files of the field that no other plugin opens: dropped on the window, they say what they are."""


def not_read(path: Path) -> str | None:
    """Return the end of a sentence on a file that is not read, told by its suffix; None if it is not known."""
    suffix = path.suffix.lower()
    for suffixes, (what, how) in _UNREAD.items():
        if suffix in suffixes:
            return f"is {what}, which is not read here; {how}."
    return None

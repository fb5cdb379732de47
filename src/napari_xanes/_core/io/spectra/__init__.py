"""The formats of reference spectra, one module each: every module declares a `FORMAT`."""

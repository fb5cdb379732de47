"""The formats of scans, one module each: every module declares a `FORMAT`."""

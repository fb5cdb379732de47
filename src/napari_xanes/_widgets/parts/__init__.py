"""Small widgets that know nothing of XANES."""

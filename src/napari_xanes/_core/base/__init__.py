"""What everything is said in: errors, parameters, progress, checks, files that appear whole."""

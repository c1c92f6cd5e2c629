"""Figures for papers and slides, drawn with matplotlib, which is imported here alone."""

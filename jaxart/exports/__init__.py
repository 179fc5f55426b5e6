"""A classifier as a file for other programs: one module for each kind of file."""

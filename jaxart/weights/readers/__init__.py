"""Each kind of weight file, read without running anything in it."""

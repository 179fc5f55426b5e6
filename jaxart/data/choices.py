"""What can be chosen: plain data, which `--help` shows without loading JAX."""

MAX_DISTANCE = 64  # bits of 256 that the hashes of near copies differ in, at most

"""The experiments: a file each, whose `get_config()` sets what it is about."""

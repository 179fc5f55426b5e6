"""One module for each weight format.

Each reads a file into `{'conv1': {'kernel', 'bias'}, ...}`, float32, without running
anything of it. A file that cannot be opened is an `OSError`; whatever else is wrong
with it one `WeightsError`.
"""

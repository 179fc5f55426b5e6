"""The command line: a file for each job, with its flags and the call that they make.

`jaxart.__main__` is the table of the jobs; `flags` and `shared` are what several have.
Nothing here imports JAX before a job runs.
"""

__all__ = ["faults", "flags", "start", "streams"]

"""What is timed, each side of a workload in a process of its own (see `child`)."""

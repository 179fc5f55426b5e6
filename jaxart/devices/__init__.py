"""The devices and processes of a run, how XLA compiles for them, and when to stop."""

__all__ = ["compiling", "launchers", "layout", "preemption", "processes", "stopping"]

"""The devices and processes of a run, and how XLA compiles for them."""

__all__ = ["compiling", "layout", "processes"]

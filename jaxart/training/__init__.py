"""Fine-tuning: `loop` is the whole of it; the others are its pieces.

What a run is fed, what it compiles, which layers train, and what TensorBoard shows.
"""

__all__ = ["config", "experiments", "frozen", "loop", "optim", "plan", "sides", "steps"]

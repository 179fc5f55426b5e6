"""How fast jaxart is, beside PyTorch on the same machine: `python -m benchmarks`."""

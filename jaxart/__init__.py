"""Fine-tuning and saliency on the classic Caffe networks, in JAX/Flax."""

__version__ = "0.1.0"

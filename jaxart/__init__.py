"""Fine-tuning and saliency on the classic Caffe networks, in JAX/Flax."""

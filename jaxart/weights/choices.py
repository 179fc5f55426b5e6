"""What can be chosen: plain data, which `--help` shows without loading JAX."""

# What a first layer takes: see `channel_order`.
CHANNEL_ORDERS = ("bgr", "rgb", "torchvision")

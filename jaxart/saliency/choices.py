"""What can be chosen: plain data, which `--help` shows without loading JAX."""

# How an attribution [B, H, W, C] becomes a map [B, H, W].
CHANNEL_RULES = ("max_abs", "sum_abs", "norm", "sum", "mean")

# Where a path starts, and what occludes.
BASELINES = ("mean", "black", "white")

# Where a path's steps lie.
QUADRATURES = ("gauss_legendre", "midpoint")

# What is explained of the target: its logit, or the logarithm of its probability.
SCORES = ("logit", "log_probability")

# The files of an image. Sheets hold many images; the others belong to one.
KINDS = ("overlay", "heatmap", "npy", "sheet")

# A scale for each map, or one for all.
SCALES = ("image", "common")

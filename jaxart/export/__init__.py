"""A classifier as a file for other programs: one module for each kind of file.

`writing` finds the format by the suffix; `jaxart export` is the command.
"""

__all__ = ["description", "onnx_model", "stablehlo", "weight_files", "writing"]

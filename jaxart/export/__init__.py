"""A classifier as a file for other programs: one module for each kind of file.

`python -m jaxart.export` is the command.
"""

__all__ = ["description", "onnx_model", "stablehlo", "weight_files"]

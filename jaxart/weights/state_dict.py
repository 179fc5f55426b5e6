"""Arrays under PyTorch's names, out of any of the files that hold them.

These are `.safetensors`, and `.pth` as `torch.save` writes and as it wrote them. Which
one a file is shows in its first bytes; whose network it is shows in the names.

Source: https://huggingface.co/docs/safetensors.
"""

from pathlib import Path

import numpy as np
from safetensors import safe_open

from jaxart.weights import torch_legacy, torch_zip
from jaxart.weights.errors import refuse_bad_file


def is_state_dict_file(path: str | Path) -> bool:
    """Tells by the content whether a file is of a kind that `read` is for.

    Raises:
      OSError: the file cannot be opened.
    """
    return (
        _is_safetensors(path)
        or torch_legacy.is_legacy_torch_file(path)
        or torch_zip.is_torch_zip(path)
    )


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a `.safetensors` or `.pth` file.

    Args:
      path: the file, told apart by content.

    Returns:
      Read-only arrays by name, in the file's dtypes: in a `.pth` file's order, and in
      the names' order for `.safetensors`.

    Raises:
      WeightsError: no such file, one of other things, or a damaged one; nothing in it
        is run.
      OSError: the file cannot be opened.
    """
    if _is_safetensors(path):
        return _read_safetensors(path)
    if torch_legacy.is_legacy_torch_file(path):
        return torch_legacy.read(path)
    return torch_zip.read(path)


def _is_safetensors(path: str | Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    with refuse_bad_file(path), safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not arrays:
            raise ValueError("it holds no arrays")
        for array in arrays.values():
            array.flags.writeable = False
        return arrays

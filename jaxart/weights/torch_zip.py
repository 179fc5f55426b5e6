"""Reads the tensors of a `torch.save` file without PyTorch, and runs nothing of it.

Since PyTorch 1.6 such a file is a zip: `<name>/data.pkl` is a pickle that describes the
tensors, and `<name>/data/<key>` holds the bytes of the storage `<key>`.

Source: https://docs.pytorch.org/docs/stable/notes/serialization.html.
"""

import io
import re
import zipfile
from pathlib import Path

import numpy as np

from jaxart.weights.errors import refuse_bad_file
from jaxart.weights.torch_tensors import MAX_PICKLE_BYTES, Storage, TensorUnpickler

_MAX_BYTES = 4 << 30  # VGG16 is 0.55 GB in float32; a zip bomb is more.


def is_torch_zip(path: str | Path) -> bool:
    """Tells whether a file is a zip as `torch.save` writes it, by its directory.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return any(map(_is_pickle_name, archive.namelist()))
        except Exception:  # zipfile raises many kinds at a damaged directory
            return False


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a dict of tensors.

    Args:
      path: a file written by `torch.save(model.state_dict(), path)`.

    Returns:
      Read-only arrays by name, in the file's order, in its dtypes.

    Raises:
      WeightsError: for anything else, whatever is wrong with it.
      OSError: the file cannot be opened.
    """
    with (
        open(path, "rb") as stream,
        refuse_bad_file(path, note="; nothing in it was run"),
        zipfile.ZipFile(stream) as archive,
    ):
        members = _members(archive, Path(path).stat().st_size)
        folder = _folder(members)
        _check_byte_order(archive, members.get(f"{folder}byteorder"))
        pickled = _read_member(archive, members[f"{folder}data.pkl"])
        unpickler = TensorUnpickler(io.BytesIO(pickled))
        tensors = unpickler.load_tensors()
        # A key is looked up among the zip's names and is never a path of ours.
        storages = {
            key: _read_storage(archive, members.get(f"{folder}data/{key}"), storage)
            for key, storage in unpickler.storages.items()
        }
        return {name: tensor.array(storages) for name, tensor in tensors.items()}


def _is_pickle_name(name: str) -> bool:
    return re.fullmatch(r"[^/]+/data\.pkl", name) is not None


def _members(archive: zipfile.ZipFile, size_of_file: int) -> dict[str, zipfile.ZipInfo]:
    """Returns what an archive holds, once its directory has been found plausible."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise ValueError("a member of the zip is there twice")
    if sum(info.file_size for info in infos) > _MAX_BYTES:
        raise ValueError(f"it unpacks to more than {_MAX_BYTES:,} bytes")
    if sum(info.compress_size for info in infos) > size_of_file:
        raise ValueError("the members of the zip lie over one another")
    return members


def _folder(members: dict[str, zipfile.ZipInfo]) -> str:
    """The folder of the one pickle."""
    names = [name for name in members if _is_pickle_name(name)]
    if len(names) != 1:
        raise ValueError(f"the zip holds {len(names)} data.pkl, not one")
    if members[names[0]].file_size > MAX_PICKLE_BYTES:
        raise ValueError(f"its data.pkl is larger than {MAX_PICKLE_BYTES:,} bytes")
    return names[0].removesuffix("data.pkl")


def _check_byte_order(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> None:
    if info is not None and (
        info.file_size > 6 or _read_member(archive, info) != b"little"
    ):
        raise ValueError("its numbers are not little endian")


def _read_storage(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, storage: Storage
) -> np.ndarray:
    if info is None or info.file_size != storage.num_bytes:
        found = "is not there" if info is None else f"has {info.file_size:,}"
        raise ValueError(
            f"storage {storage.key[:40]!r} should have {storage.num_bytes:,} bytes "
            f"and {found}"
        )
    return np.frombuffer(_read_member(archive, info), storage.dtype)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename[:80]!r} is compressed as torch does not")
    with archive.open(info) as stream:
        # With a size: without one, zipfile inflates first and looks at the size then.
        data = stream.read(info.file_size)
    if len(data) != info.file_size:
        raise ValueError(f"{info.filename[:80]!r} is shorter than the zip says")
    return data

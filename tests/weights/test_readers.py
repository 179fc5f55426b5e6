"""What every reader owes: its own format and no other, and one class of error."""

import functools

import pytest

from jaxart.models import VGG16
from jaxart.weights import WeightsError
from jaxart.weights.readers import (
    caffe_h5,
    caffe_npy,
    caffemodel,
    hdf5,
    keras_h5,
    npz,
    onnx_initializers,
    restricted_pickle,
    state_dict,
)
from tests.weights import formats

NPY = ("npy", "npy_of_dicts")
CAFFEMODEL = ("caffemodel", "v1_caffemodel")
STATE_DICT = (
    *("caffe_named_pth", "caffe_named_safetensors", "torchvision"),
    *("torchvision_pth", "torchvision_legacy_pth"),
)
READERS = {
    caffe_npy.read: NPY,
    restricted_pickle.read_pickled_npy: NPY,
    npz.read: ("npz",),
    caffemodel.read: CAFFEMODEL,
    functools.partial(caffe_h5.read, network=VGG16()): ("caffe_h5",),
    functools.partial(keras_h5.read, network=VGG16()): ("keras_h5",),
    functools.partial(onnx_initializers.read, network=VGG16()): ("onnx",),
    state_dict.read: STATE_DICT,
}
TELLERS = {
    caffemodel.is_caffemodel: CAFFEMODEL,
    caffe_h5.is_caffe_h5: ("caffe_h5",),
    hdf5.is_hdf5: ("caffe_h5", "keras_h5"),
    onnx_initializers.is_onnx: ("onnx",),
    state_dict.is_state_dict_file: STATE_DICT,
}
HDF5 = b"\x89HDF\r\n\x1a\n"
# What starts as something, and is nothing.
STUBS = {
    "empty": b"",
    "one byte": b"\x80",
    "text": b'name: "AlexNet"\nlayer {\n  name: "data"\n',
    "zip": b"PK\x03\x04",
    "no zip": b"PK\x05\x06" + bytes(18),
    "npy": b"\x93NUMPY",
    "npy 9": b"\x93NUMPY\x09\x00v\x00{}",
    "hdf5": HDF5,
    "hdf5 and more": 99 * HDF5,
}


def name_of(function):
    function = getattr(function, "func", function)
    return f"{function.__module__.split('.')[-1]}.{function.__name__}"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of every format and of every stub, by its name."""
    folder = tmp_path_factory.mktemp("files")
    for name, write in formats.ALL.items():
        write(folder / name, formats.narrow_vgg16())
    for name, content in STUBS.items():
        (folder / f"{name}.stub").write_bytes(content)
    files = {path.name.split(".np")[0]: path for path in folder.iterdir()}  # of NumPy
    assert files.keys() > formats.ALL.keys()
    return files


@pytest.mark.parametrize("read", READERS, ids=name_of)
def test_a_reader_reads_its_format_and_refuses_others(files, read):
    for name, path in files.items():
        if name in READERS[read]:
            assert read(path), name
        else:
            with pytest.raises(WeightsError) as error:
                read(path)
            assert str(error.value).startswith(f"{path}: "), name


@pytest.mark.parametrize("tell", TELLERS, ids=name_of)
def test_a_format_is_told_by_its_content(files, tell):
    own = {*TELLERS[tell]}
    if tell is hdf5.is_hdf5:
        own |= {"hdf5.stub", "hdf5 and more.stub"}  # by the first bytes
    assert {name for name, path in files.items() if tell(path)} == own


@pytest.mark.parametrize("function", [*READERS, *TELLERS], ids=name_of)
def test_a_missing_file_stays_an_oserror(tmp_path, function):
    with pytest.raises(FileNotFoundError):
        function(tmp_path / "a")

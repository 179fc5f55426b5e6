"""StableHLO programs: JAX gives our logits where jaxart and Flax are not installed."""

import json
import os
import subprocess
import sys

import numpy as np
from jax import export

from jaxart.export import stablehlo
from tests import ROOT
from tests.export.preparing import prepare

USER = """
import sys

class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("jaxart", "flax"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import numpy as np
from jax import export

program, images, logits = sys.argv[1:]
images = np.load(images)
with open(program, "rb") as file:
    exported = export.deserialize(bytearray(file.read()))
np.savez(logits, one=exported.call(images[:1]), three=exported.call(images))
assert not {"jaxart", "flax"} & sys.modules.keys()
"""


def test_a_program_runs_without_jaxart(tiny, picture, answer, close, tmp_path):
    network = tiny("tf1_bilinear")
    stablehlo.write(tmp_path / "tiny.stablehlo", network)
    facts = json.loads((tmp_path / "tiny.stablehlo.json").read_text())
    image = prepare(picture, facts)
    images = np.concatenate([image, image[:, ::-1], image / 2])
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-I", "-c", USER]
        + [tmp_path / name for name in ("tiny.stablehlo", "images.npy", "logits.npz")],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "logits.npz")
    close(found["one"], answer(network, picture))
    close(found["three"], answer(network, images))
    assert facts["layout"] == "NHWC"
    assert "float32 [N, 16, 16, 3]" in facts["preprocessing"]
    assert facts["class_names"] == list(network.class_names)


def test_a_program_is_for_every_platform_and_tells_no_paths(tiny):
    program = stablehlo.serialize(tiny(""))
    exported = export.deserialize(program)
    assert exported.platforms == ("cpu", "cuda", "rocm", "tpu")
    assert "layers.py" not in (text := program.decode("latin1"))
    assert str(ROOT) not in text
    assert sys.prefix not in text

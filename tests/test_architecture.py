"""Who may import whom: data flows one way, and this reads the imports to hold it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "jaxart").rglob("*.py"))

# Modules of jaxart that each module may import; what is not listed imports none.
ALLOWED = {
    "main": {"commands", "config", "processes", "train"},
    "train": {
        *("checkpoint config inputs layout leaks network optim".split()),
        *("processes results steps storage summaries writers".split()),
        *("data.pipeline models.layers".split()),
    },
    "storage": {"remote"},
    "results": {"storage"},
    "json_lines": {"storage"},
    "json_chunks": {"remote"},
    "remote_parts": {"parts", "remote", "results", "storage", "data.shares"},
    "checkpoint": {"remote", "storage"},
    "writers": {"remote", "storage"},
    "leaks": {
        "storage",
        *("results data.duplicates data.examples data.files".split()),
    },
    "classifier": {
        *("checkpoint storage data.images models models.layers".split()),
        *("weights weights.canonical".split()),
    },
    "export": {
        *("classifier commands storage".split()),
        *("exports.onnx_model exports.stablehlo".split()),
        *("exports.weight_files models.layers weights.canonical".split()),
    },
    "exports.description": {
        *("classifier data.images models".split()),
        "",  # the package, for its version
    },
    "exports.onnx_model": {
        *("classifier exports.description exports.weight_files".split()),
        *("models.layers", ""),  # the package, for its version
    },
    "exports.stablehlo": {"classifier", "exports.description", "results"},
    "exports.weight_files": {
        *("classifier exports.description models models.layers".split()),
        *("storage weights.canonical".split()),
    },
    "config": {"data.images", "models", "models.layers", "optim", "writers"},
    "inputs": {
        *("compiling layout processes results storage".split()),
        *("models models.layers data.examples".split()),
        *("data.features data.files data.pipeline data.procedural".split()),
    },
    "outputs": {"storage", "passes.driver"},
    "predict": {
        *("classifier commands evaluation outputs prediction prediction_files".split()),
        *("storage data.images data.listing passes.driver passes.running".split()),
    },
    "prediction": {
        *("classifier compiling evaluation models models.layers outputs".split()),
        *("prediction_files results storage".split()),
        *("data.features data.images data.listing data.pipeline".split()),
        *("passes passes.folder passes.rows passes.running passes.work".split()),
    },
    "prediction_files": {"results", "storage"},
    "evaluation": {"classifier", "prediction_files", "results", "data.listing"},
    "network": {"models", "models.layers", "weights.canonical", "weights.merge"},
    "processes": {"data.shares", "storage"},
    "steps": {"compiling", "layout", "metrics", "models", "optim"},
    "summaries": {"figures"},
    "curation.cleaning": {"curation.pictures", "curation.splits", "data.duplicates"},
    "curation.contact_sheets": {"data.images", "passes.local"},
    "curation.curation": {
        *("results curation.cleaning curation.looking curation.paintings".split()),
        *("curation.pictures curation.splits curation.writing".split()),
        *("data.duplicates data.examples data.files data.fingerprints".split()),
        *("data.images passes.driver passes.folder passes.running".split()),
        "",  # the package, for its version
    },
    "curation.inspection": {
        *("results curation.contact_sheets curation.paintings".split()),
        *("curation.pictures curation.writing".split()),
        *("data.duplicates data.examples data.files".split()),
    },
    "curation.looking": {
        *("storage curation.writing data.files data.fingerprints".split()),
        *("passes.local passes.work".split()),
    },
    "curation.paintings": {"curation.artists", "data.examples"},
    "curation.pictures": {"curation.artists", "curation.paintings", "data.files"},
    "curation.writing": {
        *("results storage curation.paintings curation.pictures".split()),
        "data.examples",
    },
    "data.duplicates": {"data.files", "data.fingerprints"},
    "data.examples": {"remote", "storage"},
    "data.features": {
        *("processes data.images data.pipeline".split()),
        *("passes.folder passes.running passes.work".split()),
    },
    "data.files": {
        *("remote storage data.fingerprints data.images passes.local".split()),
    },
    "data.listing": {"storage", "data.examples"},
    "data.pipeline": {"remote", "storage", "data.images"},
    "data.procedural": {"data.painters"},
    "models": {"models.alexnet", "models.layers", "models.vgg16"},
    "models.alexnet": {"models.layers"},
    "models.layers": {"models.winograd"},
    "models.vgg16": {"models.layers"},
    "saliency.__main__": {
        "storage",
        *("classifier commands data.images data.listing saliency.run".split()),
        "data.shares",
        *("saliency.catalogue saliency.choices saliency.options".split()),
    },
    "saliency.run": {
        *("storage saliency.remote_parts".split()),
        "evaluation",
        "prediction_files",
        *("results classifier data.features data.listing data.pipeline".split()),
        *("data.shares parts saliency.parts".split()),
        *("saliency.catalogue saliency.explain saliency.gallery".split()),
        *("saliency.manifest saliency.options saliency.pictures".split()),
        *("saliency.writing", ""),  # the package, for its version
    },
    "saliency.manifest": {"json_chunks", "json_lines", "remote", "storage"},
    "saliency.remote_parts": {
        *("json_chunks remote results parts data.shares".split()),
        *("saliency.manifest saliency.parts".split()),
    },
    "saliency.parts": {"data.shares", "parts", "saliency.manifest"},
    "saliency.writing": {
        "storage",
        "prediction_files",
        *("data.images data.listing saliency.explain saliency.manifest".split()),
        *("saliency.options saliency.pictures saliency.render".split()),
    },
    "saliency.options": {
        *("data.images saliency.catalogue saliency.choices".split()),
        *("saliency.pictures saliency.render".split()),
    },
    "saliency.class_model": {
        *("classifier commands compiling models storage".split()),
        *("saliency.maximization saliency.render".split()),
    },
    "saliency.catalogue": {
        *("models saliency saliency.cam saliency.choices saliency.methods".split()),
    },
    "saliency.explain": {
        *("classifier compiling data.pipeline models overlap".split()),
    },
    "saliency.gallery": {"results", "storage"},
    "saliency.pictures": {"storage", "data.images", "saliency.render"},
    "saliency.methods": {
        *("saliency.cam saliency.gradients saliency.maximization".split()),
        *("saliency.paths saliency.perturbation".split()),
    },
    "saliency.cam": {"saliency.gradients", "saliency.scores"},
    "saliency.gradients": {
        *("saliency.batching saliency.choices saliency.scores".split()),
    },
    "saliency.maximization": {"saliency.blur", "saliency.scores"},
    "saliency.paths": {"saliency.batching", "saliency.blur", "saliency.scores"},
    "saliency.perturbation": {"saliency.batching", "saliency.scores"},
    "weights": {"weights.errors"},
    "weights.caffe_h5": {
        *("weights.caffe_layout weights.errors weights.hdf5".split()),
        "weights.vgg16_layout",
    },
    "weights.caffe_npy": {"weights.errors", "weights.restricted_pickle"},
    "weights.caffe_state_dict": {"weights.caffe_layout", "weights.errors"},
    "weights.caffemodel": {
        *("weights.caffe_layout weights.errors weights.protobuf".split()),
    },
    "weights.canonical": {"storage", "weights.errors", "weights.known_files"},
    "weights.channel_order": {"weights.errors"},
    "weights.downloads": {"weights.errors", "weights.known_files"},
    "weights.hdf5": {"weights.errors"},
    "weights.keras_h5": {"weights.errors", "weights.hdf5", "weights.vgg16_layout"},
    "weights.known_files": {"storage", "weights.errors"},
    "weights.merge": {"weights.canonical", "weights.errors"},
    "weights.npz": {"weights.errors", "weights.npy_header"},
    "weights.onnx_graph": {"weights.protobuf"},
    "weights.onnx_initializers": {
        *("weights.caffe_layout weights.errors weights.onnx_graph".split()),
        "weights.vgg16_layout",
    },
    "weights.restricted_pickle": {"weights.errors", "weights.npy_header"},
    "weights.sources": {
        *("weights.caffe_h5 weights.caffe_npy weights.caffe_state_dict".split()),
        *("weights.caffemodel weights.channel_order weights.errors".split()),
        *("weights.hdf5 weights.keras_h5 weights.npz".split()),
        *("weights.onnx_initializers weights.state_dict weights.torchvision".split()),
    },
    "weights.state_dict": {
        *("weights.errors weights.torch_legacy weights.torch_zip".split()),
    },
    "weights.torch_legacy": {"weights.errors", "weights.torch_tensors"},
    "weights.torch_tensors": {"weights.restricted_pickle"},
    "weights.torch_zip": {"weights.errors", "weights.torch_tensors"},
    "weights.torchvision": {
        *("weights.caffe_layout weights.errors weights.vgg16_layout".split()),
    },
    "weights.vgg16_layout": {"weights.errors"},
    "wikiart.artgan": {
        *("wikiart.errors wikiart.listings wikiart.painting".split()),
        *("wikiart.session wikiart.store".split()),
    },
    "wikiart.download": {"wikiart.errors", "wikiart.painting", "wikiart.store"},
    "wikiart.hugging_face": {
        *("wikiart.errors wikiart.painting wikiart.session".split()),
    },
    "wikiart.painting": {"wikiart.errors"},
    "wikiart.session": {"wikiart.errors", ""},  # the package, for its version
    "wikiart.listings": {"wikiart.errors", "wikiart.session", "wikiart.store"},
    "wikiart.record": {"json_lines"},
    "wikiart.site": {
        *("wikiart.errors wikiart.listings wikiart.painting".split()),
        *("wikiart.session wikiart.store".split()),
    },
    "wikiart.store": {
        *("results data.images wikiart.errors wikiart.painting".split()),
        "wikiart.record",
    },
}


def module_name(path):
    parts = path.relative_to(ROOT / "jaxart").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path) for path in FILES}


def imports(path):
    """(module, name) of every import in a file; name is None for `import x`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_one_way(path):
    used = set()
    for module, name in imports(path):
        if module.split(".")[0] != "jaxart":
            continue
        inner = module.removeprefix("jaxart").lstrip(".")
        whole = f"{inner}.{name}".lstrip(".")
        used.add(whole if whole in MODULES else inner)
    assert used <= ALLOWED.get(module_name(path), set())


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_nothing_imports_configs_tools_or_tests(path):
    roots = {module.split(".")[0] for module, _ in imports(path)}
    assert not roots & {"configs", "tools", "tests", "benchmarks"}


@pytest.mark.parametrize("name", ["data/images.py", "saliency/render.py"])
def test_pictures_are_read_and_drawn_without_jax(name):
    roots = {module.split(".")[0] for module, _ in imports(ROOT / "jaxart" / name)}
    assert not roots & {"jax", "flax", "jaxart", "matplotlib"}


def test_only_the_writer_imports_tensorflow_and_late():
    for path in FILES:
        for module, name in imports(path):
            assert module.split(".")[0] != "tensorflow", path
            if "metric_writers" in (name, module.split(".")[-1]):
                assert path.name == "writers.py"
    tree = ast.parse((ROOT / "jaxart/writers.py").read_text())
    top = [n for n in tree.body if isinstance(n, ast.ImportFrom)]
    assert not any("metric_writers" in (a.name for a in n.names) for n in top)

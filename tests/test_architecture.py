"""Who may import whom: data flows one way, and this reads the imports to hold it."""

import ast
import graphlib

from tests import ROOT

FILES = sorted((ROOT / "jaxart").rglob("*.py"))
MAX_LINES = 300  # of a module
MAX_FUNCTION_LINES = 60

# Longer functions, each with the reason why it is one piece.
LONG_FUNCTIONS = {
    "cli.convert.parse": "a flag after another",
    "cli.saliency.parse": "a flag after another",
    "data.features.compute": "a store from its name to its parts, in order",
}

# Words that say nothing of what they hold, or mean a part.
EMPTY_WORDS = {"found", "taken", "those", "share", "shares"}

# A room: its modules and packages, and the rooms above it that it may import.
ROOMS = {
    "fonts": ("fonts", ""),
    "storage": ("storage", ""),
    "devices": ("devices", "storage"),
    "passes": ("passes", "storage devices"),
    "models": ("models", ""),
    "weights": ("weights", "storage models"),
    "data": ("data", "storage devices passes"),
    "classifier": ("classifier runs", "storage devices models weights data"),
    "training": (
        "training",
        "fonts storage devices passes models weights data classifier",
    ),
    "predict": (
        "predict",
        "storage passes devices models data classifier",
    ),
    "methods": ("saliency.methods saliency.choices", ""),
    "saliency": (
        "saliency",
        "fonts storage passes devices models data classifier predict methods",
    ),
    "report": (
        "report",
        "fonts storage models data classifier training predict methods saliency",
    ),
    "export": ("export", "storage models weights data classifier"),
    "paintings": ("paintings", "storage devices passes data"),
    "face": (
        "face",
        "fonts storage devices passes models weights data classifier training predict "
        "methods saliency report",
    ),
    "hub": (
        "hub",
        "storage models classifier export report",
    ),
    "app": (
        "app",
        "storage devices models data classifier training methods saliency face",
    ),
    "cli": (
        "cli __main__ main predict.__main__ saliency.__main__ saliency.class_model "
        "export.__main__ report.__main__ app.__main__",
        "storage passes devices models weights data classifier training predict "
        "methods saliency report export paintings face hub app",
    ),
}


def module_name(path):
    parts = path.relative_to(ROOT / "jaxart").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in FILES}
ROOM_OF = {name: room for room, (names, _) in ROOMS.items() for name in names.split()}


def room_of(module):
    """The room of the module itself, or of the package that it is in."""
    if module in ROOM_OF:
        return ROOM_OF[module]
    package, _, rest = module.rpartition(".")
    assert rest and package, f"{module} is in no room"
    return room_of(package)


def imports(path):
    """(module, name) of every import in a file; name is None for `import x`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def roots(path):
    return {module.split(".")[0] for module, _ in imports(path)}


def own_imports(path):
    """Modules of jaxart that a file imports, less the package with its version."""
    for module, name in imports(path):
        if module.split(".")[0] == "jaxart":
            inner = module.removeprefix("jaxart").lstrip(".")
            whole = f"{inner}.{name}".lstrip(".")
            module = whole if whole in MODULES else inner
            if module:
                yield module


# But for the face, which imports the classifier when it is asked for.
USED = {module: set(own_imports(path)) for module, path in MODULES.items() if module}


def test_a_room_imports_only_what_its_row_allows():
    wrong = [
        f"{module} ({room}) imports {other} ({room_of(other)})"
        for module, others in USED.items()
        for other in sorted(others)
        for room in [room_of(module)]
        if room_of(other) not in (room, *ROOMS[room][1].split())
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rooms_lie_above_one_another_and_hold_what_there_is():
    above = set()
    for room, (_, allowed) in ROOMS.items():
        assert set(allowed.split()) <= above, room
        above.add(room)
    assert set(ROOM_OF) <= set(MODULES)
    assert {room_of(module) for module in MODULES if module} == set(ROOMS)


def test_a_package_is_entered_by_its_face():
    faces = {}
    for module, path in MODULES.items():
        if path.name == "__init__.py" and module and "." not in module:
            tree = ast.parse(path.read_text()).body
            (names,) = (
                node.value
                for node in tree
                if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
            )
            faces[module] = ast.literal_eval(names)
    wrong = []
    for path in [*FILES, *(ROOT / "tools").iterdir(), *(ROOT / "configs").iterdir()]:
        if path.suffix != ".py":
            continue
        inside = path.relative_to(ROOT).parts[1]
        for module, name in imports(path):
            _, _, whole = f"{module}.{name or ''}".partition("jaxart.")
            package, _, rest = whole.partition(".")
            if package in faces and package != inside and rest:
                entered = rest.split(".")[0]
                if entered not in faces[package]:
                    wrong.append(f"{path}: {package}.{entered}")
    assert faces and not wrong, "\n".join(wrong)


def test_no_modules_import_one_another_in_a_circle():
    graphlib.TopologicalSorter(USED).prepare()  # raises CycleError, which names them


def test_a_module_can_be_read_in_one_sitting():
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: n for name, n in lines.items() if n > MAX_LINES}


def test_a_function_can_be_read_on_one_screen():
    long = {
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


def identifiers(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def test_names_say_what_they_hold():
    empty = {
        module
        for module, path in MODULES.items()
        if EMPTY_WORDS.intersection(identifiers(path))
    }
    assert not empty


def test_nothing_imports_configs_tools_or_tests():
    outside = {"configs", "tools", "tests", "benchmarks"}
    assert not [path for path in FILES if roots(path) & outside]


def test_only_the_command_line_knows_flags():
    exempt = {"data.procedural"}  # a program of its own, to look at what it paints
    knowing = {
        module
        for module, path in MODULES.items()
        if roots(path) & {"absl", "argparse"} and room_of(module or "storage") != "cli"
    }
    assert knowing == exempt


def calls(path):
    """What a file calls, as it is written, and with how many arguments."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), len(node.args) + len(node.keywords)


def test_one_function_puts_what_is_written_in_its_place():
    # Of the methods called `replace`, those of paths alone have one argument.
    renaming = [
        f"{module}: {function}"
        for module, path in MODULES.items()
        for function, count in calls(path)
        if function in ("os.replace", "os.rename", "shutil.move")
        or function.endswith((".rename", ".renames"))
        or (function.endswith(".replace") and count == 1)
    ]
    assert renaming == ["storage.paths: os.replace"]


# Where text becomes a path, but for the commands: what a Python user gives or a config
# says, and what another library says where a file is.
TEXT_BECOMES_A_PATH = {
    "app.interface": "the folder of uploads",
    "app.serving": "a temporary folder",
    "app.training_images": "cache_dir",
    "classifier": "weights, workdir",
    "face.explanation": "where it is saved",
    "face.comparison": "where it is saved",
    "face.pictures": "an image",
    "face.prediction": "where it is saved",
    "face.network": "source, class_names",
    "face.training": "workdir",
    "paintings.download.hugging_face": "a file in the hub's cache",
    "report.reading": "train_data, val_data, image_root",
    "runs.arrays": "a folder of Orbax's",
    "runs.sound": "a folder of Orbax's",
    "storage.hub": "a text that is given, a file in the hub's cache",
    "storage.paths": "a text that is given, a name that is joined, a temporary folder",
    "training.experiments": "a config of the package, a file of your own",
    "training.sides": "train_data, val_data, image_root",
    "training.run": "workdir, cache_dir",
    "training.network": "weights",
    "training.writers": "a temporary folder",
    "weights.downloads": "pooch's temporary file",
    "weights.readers.hdf5": "the file that h5py has open",
}


def test_text_becomes_a_path_in_few_places():
    makers = {"Path", "path", "path_or_none", "storage.path", "storage.path_or_none"}
    makers |= {"storage.weights_path"}
    made = {
        module
        for module, path in MODULES.items()
        if module and room_of(module) != "cli"
        for function, _ in calls(path)
        if function in makers
    }
    assert made == set(TEXT_BECOMES_A_PATH)


def test_pictures_are_read_and_drawn_without_jax():
    reached = {"data.images", "saliency.render", "fonts"}
    for module in (pending := list(reached)):
        pending += USED[module] - reached
        reached |= USED[module]
        assert not roots(MODULES[module]) & {"jax", "flax"}, module


def test_only_the_writer_imports_tensorflow_and_late():
    for path in FILES:
        assert "tensorflow" not in roots(path), path
        for module, name in imports(path):
            if "metric_writers" in (name, module.split(".")[-1]):
                assert path.name == "writers.py"
    tree = ast.parse((ROOT / "jaxart/training/writers.py").read_text())
    top = [n for n in tree.body if isinstance(n, ast.ImportFrom)]
    assert not any("metric_writers" in (a.name for a in n.names) for n in top)

"""The page: what is on it, and what happens when it is touched. Gradio's blocks."""

import functools
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before it is imported

import gradio as gr  # noqa: E402
import numpy as np  # noqa: E402

from jaxart.app import asking, training_images  # noqa: E402
from jaxart.app.asking import Asked  # noqa: E402
from jaxart.data import images  # noqa: E402
from jaxart.face import Explanation, TrainedNetwork  # noqa: E402
from jaxart.saliency import catalogue, render  # noqa: E402

METHODS = list(catalogue.METHODS)
NUM_ALIKE = 12
THUMBNAIL = 256  # pixels

# The machine's own fonts: Gradio's would be asked of another server.
THEME = gr.Theme(
    font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
)

EMPTY = "Choose a picture to begin."


def build(networks: dict[str, TrainedNetwork], folder: Path) -> gr.Blocks:
    """The page of networks, by the names that it shows; `folder` is for downloads."""
    with gr.Blocks(title="jaxart", analytics_enabled=False) as page:
        gr.Markdown("# jaxart\nWhat a network sees in a picture, and where.")
        picture = gr.File(
            label="Picture: drop it here, or click to choose",
            file_count="single",
            type="filepath",
            height=120,
            elem_id="picture",
        )
        seen = gr.State("Explain")  # the tab: the others wait
        with gr.Tab("Explain") as tab:
            _explain_tab(networks, _Place(tab, seen, picture), folder)
        with gr.Tab("Side by side") as tab, gr.Row():
            for side in ("left", "right"):
                with gr.Column(min_width=280):
                    _side(networks, _Place(tab, seen, picture), side)
        with gr.Tab("Paint over") as tab:
            _paint_tab(networks, _Place(tab, seen, picture))
        with gr.Tab("Alike") as tab:
            _alike_tab(networks, _Place(tab, seen, picture))
    return page


class _Place(NamedTuple):
    """Where something is shown: a tab of the page."""

    tab: gr.Tab
    seen: gr.State  # the label of the tab that is seen
    picture: gr.File

    def whenever(
        self, choices: Sequence[Any], answer: Callable, outputs: Sequence[Any]
    ) -> None:
        """Answers (picture, *choices) anew: when they change, or the tab is chosen."""
        label = self.tab.label

        def show(seen: str, *given: Any) -> Any:
            return answer(*given) if seen == label else gr.skip()

        how: dict[str, Any] = {
            "show_progress": "minimal",
            "trigger_mode": "always_last",
            "api_visibility": "private",
        }
        given, shown = [self.picture, *choices], list(outputs)
        changes = [choice.change for choice in choices]
        changes += [self.picture.upload, self.picture.clear]
        gr.on(changes, show, [self.seen, *given], shown, **how)
        chosen = self.tab.select(lambda: label, None, self.seen, **how)
        chosen.then(
            answer, given, shown, show_progress="minimal", api_visibility="private"
        )


def _choose_network(networks: dict[str, TrainedNetwork]) -> gr.Dropdown:
    names = list(networks)
    return gr.Dropdown(
        names, value=names[0], label="Network", visible=len(names) > 1, filterable=False
    )


def _choices(
    networks: dict[str, TrainedNetwork], method: str = "grad_cam"
) -> list[gr.Dropdown | gr.Slider]:
    """The controls of a question, in the order of `_ask`."""
    first = next(iter(networks.values()))
    chosen = _choose_network(networks)
    how = gr.Dropdown(METHODS, value=method, label="Method")
    names = list(first.class_names)
    target = gr.Dropdown(
        [asking.PREDICTED, *names], value=asking.PREDICTED, label="Explained class"
    )
    against = gr.Dropdown(
        [asking.NOTHING, asking.BEST_OTHER, *names],
        value=asking.NOTHING,
        label="Against",
    )
    layers = asking.layers_of(first)
    layer = gr.Dropdown(
        layers, value=layers[-2], label="Layer", visible=_has_layer(method)
    )
    samples = gr.Slider(1, 200, value=25, step=1, label="Samples", visible=False)

    def show(method: str) -> tuple[Any, Any]:
        known = asking.samples_of(method)
        label, value = known or ("samples", 1)
        shown = gr.update(
            visible=known is not None,
            label=label,
            value=value,
            maximum=max(200, 2 * value),
        )
        return gr.update(visible=_has_layer(method)), shown

    def rename(network: str) -> tuple[Any, Any, Any]:
        names = list(networks[network].class_names)
        layers = asking.layers_of(networks[network])
        return (
            gr.update(choices=[asking.PREDICTED, *names], value=asking.PREDICTED),
            gr.update(
                choices=[asking.NOTHING, asking.BEST_OTHER, *names],
                value=asking.NOTHING,
            ),
            gr.update(choices=layers, value=layers[-2]),
        )

    how.input(show, how, [layer, samples], api_visibility="private")
    chosen.input(rename, chosen, [target, against, layer], api_visibility="private")
    return [chosen, how, target, against, layer, samples]


def _has_layer(method: str) -> bool:
    return "layer" in catalogue.find(method).settings


def _ask(
    networks: dict[str, TrainedNetwork], picture: str, name: str, *choices: Any
) -> Any:
    """An explanation, or an error in a sentence."""
    return _or_sentence(asking.explain, networks[name], picture, Asked(*choices))


def _or_sentence(function: Callable, *arguments: Any) -> Any:
    """What a function gives; known errors are shown to people, without a traceback."""
    try:
        return function(*arguments)
    except (ValueError, OSError, ImportError) as error:
        text = str(error)
        for argument in arguments:  # where the upload lies says nothing to people
            if isinstance(argument, str):
                text = text.replace(argument, Path(argument).name)
        title = "This cannot be shown"
        raise gr.Error(text, print_exception=False, title=title) from None


def _explain_tab(
    networks: dict[str, TrainedNetwork], place: _Place, folder: Path
) -> None:
    with gr.Row():
        with gr.Column(min_width=280):
            choices = _choices(networks)
            best = gr.Label(label="What the network says", num_top_classes=5)
        with gr.Column(min_width=280, scale=2):
            shown = gr.HTML(EMPTY, elem_id="shown")
            files = gr.Files(label="Download", elem_id="files", interactive=False)

    last = gr.State()  # what is shown

    def answer(path: str | None, *chosen: Any) -> tuple[Any, Any, Any]:
        if path is None:
            return EMPTY, None, None
        explanation = _ask(networks, path, *chosen)
        says = dict(explanation.prediction.top())
        return asking.viewer(explanation), says, explanation

    def save(explanation: Explanation | None) -> list[str] | None:
        if explanation is None:
            return None
        return asking.save(explanation, Path(tempfile.mkdtemp(dir=folder)))

    place.whenever(choices, answer, [shown, best, last])
    last.change(save, last, files, api_visibility="private")  # large pictures take long


def _side(networks: dict[str, TrainedNetwork], place: _Place, side: str) -> None:
    choices = _choices(networks, {"left": "grad_cam", "right": "gradient"}[side])
    shown = gr.HTML(EMPTY, elem_id=f"{side}-shown")

    def answer(path: str | None, *chosen: Any) -> str:
        if path is None:
            return EMPTY
        return asking.viewer(_ask(networks, path, *chosen))

    place.whenever(choices, answer, [shown])


def _paint_tab(networks: dict[str, TrainedNetwork], place: _Place) -> None:
    chosen = _choose_network(networks)
    gr.Markdown(
        "Paint over a part: does the network still say the same? Both columns are of "
        "the picture as it is here."
    )
    editor = gr.ImageEditor(
        label="Picture",
        type="numpy",
        image_mode="RGB",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(colors=["#808080", "#000000", "#ffffff"], color_mode="fixed"),
        elem_id="editor",
    )
    table = gr.Dataframe(
        headers=["class", "before", "painted over", "difference"],
        label="What changes",
        interactive=False,
        elem_id="changes",
    )

    def begin(path: str | None) -> Any:
        if path is None:
            return None
        prediction = _or_sentence(next(iter(networks.values())).predict, path)
        return np.asarray(render.fit(prediction.picture, asking.SIDE))

    def compare(name: str, painted: dict[str, Any] | None) -> Any:
        if not painted or painted.get("background") is None:
            return None
        before, after = (
            networks[name].predict(np.ascontiguousarray(painted[side][:, :, :3]))
            for side in ("background", "composite")
        )
        return asking.changes(before, after)

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    place.whenever([], begin, [editor])  # an editor that is not seen loses it
    gr.on(
        [editor.change, editor.input, chosen.change],
        compare,
        [chosen, editor],
        table,
        **hidden,
    )


def _alike_tab(networks: dict[str, TrainedNetwork], place: _Place) -> None:
    runs = {
        name: network
        for name, network in networks.items()
        if training_images.are_known(network)
    }
    if not runs:
        gr.Markdown("These networks are of weight files: no training images are known.")
        return
    chosen = _choose_network(runs)
    button = gr.Button("Find training images that are alike", elem_id="find")
    says = gr.Markdown()
    gallery = gr.Gallery(label="Most alike first", columns=4, elem_id="alike")
    # Features of a run's images take a while where its training kept none.
    read = functools.cache(lambda name: training_images.read(runs[name]))

    def find(path: str | None, name: str) -> Any:
        if path is None:
            raise gr.Error(EMPTY, print_exception=False, title="No picture")
        known = _or_sentence(read, name)
        activation = _or_sentence(runs[name].features, path, known.layer)
        shown = []
        for one in known.most_alike(activation, NUM_ALIKE):
            try:
                small = render.fit(images.decode(one.path), THUMBNAIL)
            except images.ImageError:  # it is gone since the training
                continue
            shown.append((small, f"{one.label}, {one.cosine:.2f}"))
        return shown, f"By the cosine of what {known.layer} makes of them."

    shown = [gallery, says]
    others = [place.picture.upload, place.picture.clear]
    gr.on(others, lambda: (None, ""), None, shown, api_visibility="private")
    button.click(find, [place.picture, chosen], shown, api_visibility="private")

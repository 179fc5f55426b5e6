"""Figures whose text is text."""

import re

from jaxart.report import plots


def test_names_of_runs_stay_as_they_are_in_any_script():
    names = ["Łódź", "浮世絵 ukiyo-e", "العربية", "हिन्दी", "$a$ & <b>"]
    lines = {name: [(0, 0.1), (1, 0.1 * i)] for i, name in enumerate(names)}
    svg = plots.curves("accuracy", lines, "Curves")
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    assert texts[-5:] == [*names[:-1], "$a$ &amp; &lt;b&gt;"]

"""How the page looks, beside what Gradio gives."""

CSS = """
.viewer { margin: 0; max-width: 40em; }
.viewer .stack { position: relative; }
.viewer img { display: block; width: 100%; height: auto; }
.viewer .map { position: absolute; inset: 0; opacity: var(--opacity); }
.viewer label { display: flex; gap: .6em; align-items: center; margin: .5em 0; }
.viewer input { flex: 1; min-width: 6em; }
.viewer .scale { height: .7em; }
.viewer .ends { display: flex; justify-content: space-between; }
"""

"""Checks what `make demo` left: every outcome file, and an accuracy."""

import json
import sys
from pathlib import Path

run = Path(sys.argv[1])
result = json.loads((run / "result.json").read_text())
for name in ("config.json", "predictions.csv", "skipped.csv"):
    assert (run / name).stat().st_size, name
assert any((run / "checkpoints").iterdir())
assert any(run.glob("events.out.tfevents.*"))
assert result["val_accuracy"] >= 0.80, result
saliency = run / "saliency"
manifest = (saliency / "manifest.jsonl").read_text().splitlines()
assert len(manifest) == result["num_val"], len(manifest)
for line in manifest:
    for name in json.loads(line)["files"].values():
        assert (saliency / name).stat().st_size, name
assert (saliency / "index.html").stat().st_size
print(f"demo: validation accuracy {result['val_accuracy']:.3f}")

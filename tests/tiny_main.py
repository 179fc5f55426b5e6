"""`jaxart train` that knows a network which trains in no time.

As a program: python -m tests.tiny_main FLAGS... COORDINATOR PROCESSES ID
"""

import sys

from jaxart.__main__ import main
from jaxart.models import MODELS
from tests.runs import TinyNet

if __name__ == "__main__":
    MODELS["tinynet"] = TinyNet
    *arguments, coordinator, num_processes, process_id = sys.argv
    joining = [
        f"--coordinator={coordinator}",
        f"--num_processes={num_processes}",
        f"--process_id={process_id}",
    ]
    sys.exit(main(["train", *arguments[1:], *joining]))

"""Fuzzes every reader through the one entrance; not part of the test suite.

    pip install atheris
    python -m tests.weights.fuzz_readers --seconds=600 --out=FOLDER

Starts from one narrow network in every format, and keeps each file that takes another
way through the code in FOLDER/found, where the next run goes on. It stops at what no
reader may do: an error other than `WeightsError`, more than 5 seconds, more than 2 GB.
`corpus.zip`, which `test_hostile.py` reads, is what ten minutes found, without what
took no new way (libFuzzer's -merge=1).
"""

import argparse
import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["jaxart.weights", "pickle", "zipfile"]):
    from jaxart.weights import WeightsError, sources

from jaxart.models import VGG16
from tests.weights import formats

SCRATCH = Path("/dev/shm") / f"fuzz_{os.getpid()}"


def read_bytes(data: bytes) -> None:
    SCRATCH.write_bytes(data)
    try:
        sources.read(SCRATCH, VGG16())
    except WeightsError as error:
        assert str(error).startswith(f"{SCRATCH}: "), error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=formats.ALL, help="one format's seeds alone")
    flags = parser.parse_args()
    seeds = flags.out / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for name, write in formats.ALL.items():
        if flags.only in (None, name):
            write(seeds / f"{name}.npy", formats.narrow_vgg16())
    found = flags.out / "found"
    found.mkdir(exist_ok=True)
    options = [
        *(sys.argv[0], str(found), str(seeds), f"-artifact_prefix={flags.out}/"),
        *(f"-max_total_time={flags.seconds}", "-max_len=40000", "-timeout=5"),
        *("-rss_limit_mb=2048", "-print_final_stats=1"),
    ]
    atheris.Setup(options, read_bytes)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

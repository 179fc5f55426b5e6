"""What the machine is, and how much of it there was."""

import importlib.metadata
import os
import platform
import resource
from pathlib import Path
from typing import Any, NamedTuple

PACKAGES = (
    *("jaxart", "jax", "jaxlib", "flax", "grain", "numpy", "pillow"),
    *("torch", "captum"),
)


class Clock(NamedTuple):
    """Processor time until now, in seconds of all cores together.

    Attributes:
      total: since the machine started.
      steal: of it, when this machine had work and its host ran something else.
      busy: of it, when some program ran.
      own: what the processes took that this one started, and waited for.
    """

    total: float
    steal: float
    busy: float
    own: float

    @classmethod
    def now(cls) -> "Clock":
        """As of now; zeros where there is no /proc/stat."""
        path = Path("/proc/stat")
        if not path.is_file():
            return cls(0, 0, 0, 0)
        words = path.read_text().split("\n")[0].split()[1:9]
        ticks = 1 / os.sysconf("SC_CLK_TCK")
        # user nice system idle iowait irq softirq steal; guests count as user.
        user, nice, system, idle, iowait, irq, softirq, steal = (
            int(word) * ticks for word in words
        )
        busy = user + nice + system + irq + softirq
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = busy + idle + iowait + steal
        return cls(total, steal, busy, usage.ru_utime + usage.ru_stime)

    def taken(self, end: "Clock") -> dict[str, float | None]:
        """Shares of the time from here to `end` that were not ours to use.

        Returns:
          `steal`, the host's share, and `others`, that of other programs.
        """
        spent = Clock(*(b - a for a, b in zip(self, end, strict=True)))
        if not spent.total:
            return {"steal": None, "others": None}
        others = max(0.0, spent.busy - spent.own)
        return {"steal": spent.steal / spent.total, "others": others / spent.total}


def describe() -> dict[str, Any]:
    """The machine, as plain data."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
    }


def versions() -> dict[str, str | None]:
    """Python's and the packages' versions; None where one is not installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def peak_memory() -> int | None:
    """The most memory that this program has held, in bytes.

    Unlike ru_maxrss it leaves out what the process was before it became this program:
    a fork of the one that started it.
    """
    line = _first("/proc/self/status", "VmHWM")
    return int(line.split()[0]) * 1024 if line else None


def _first(path: str, field: str) -> str:
    """The first value of a field in a file of `field: value` lines."""
    if Path(path).is_file():
        for line in Path(path).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return ""

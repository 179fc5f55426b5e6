"""Flags: how they are spelled, bounded, shown and refused. argparse's, for all jobs."""

import argparse
import difflib
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from jaxart import storage

T = TypeVar("T")

_SILENT = (None, "", (), [], argparse.SUPPRESS)  # defaults that need no word


class FlagError(ValueError):
    """The command line makes no sense; the message says what would."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a description; shows --flag=value, and telling defaults."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        default = super()._get_default_metavar_for_optional(action)
        return _METAVARS.get(action.type, default)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        text = super()._format_action_invocation(action)
        if action.nargs == 0:  # it takes no value
            return text
        return text.replace(" [", "[=") if " [" in text else text.replace(" ", "=", 1)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        is_telling = action.default is not False and action.default not in _SILENT
        if is_telling and "default:" not in text:
            text += " (default: %(default)s)"
        return text


class Parser(argparse.ArgumentParser):
    """The flags of a job. Errors are `FlagError`s; flags may have - for _, or _ for -.

    `text` says what the job does, with an example; it is above the flags in --help.
    `words` are those that the job takes beside its flags.
    """

    def __init__(self, job: str, text: str | None, words: str = ""):
        super().__init__(
            prog=f"jaxart {job}",
            usage=f"jaxart {job}{words and ' '}{words} [--flag=value ...]",
            description=text,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    @property
    def names(self) -> list[str]:
        """Of the flags, without dashes."""
        options = self._option_string_actions
        return [option[2:] for option in options if option.startswith("--")]

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """What the flags say.

        Raises:
          FlagError: names what is unknown or may not be, and the near flag.
        """
        flags, rest = self.parse_known_args(respelled(words, self.names))
        for word in rest:
            refuse(word, self.names)
        return flags

    def error(self, message: str) -> None:
        """Instead of argparse's end of the process, with its own status."""
        raise FlagError(message.removeprefix("argument "))


def respelled(words: Iterable[str], names: Iterable[str]) -> list[str]:
    """Flags as they are declared, whichever of - and _ they are typed with.

    `names` are those of the flags, without their dashes.
    """
    declared = {name.replace("-", "_"): name for name in names}

    def respell(flag: re.Match) -> str:
        return f"--{declared.get(flag[1].replace('-', '_'), flag[1])}"

    return [re.sub(r"^--([^=]+)", respell, word) for word in words]


def refuse(word: str, names: Iterable[str]) -> None:
    """Raises a `FlagError`: a word is no flag; which one it may stand for."""
    if not word.startswith("--"):
        raise FlagError(f"unknown arguments: {word} (flags are --name=value)")
    name = word[2:].partition("=")[0]
    last_parts = {known.rpartition(".")[2]: known for known in names}
    near = difflib.get_close_matches(name, last_parts, n=1)
    hint = "--help lists the flags"
    if near:
        hint = f"did you mean --{last_parts[near[0]]}?"
    raise FlagError(f"unknown flag --{name}; {hint}")


def require(flags: argparse.Namespace, *names: str) -> None:
    """Raises a `FlagError` that names the first flag that is not given."""
    for name in names:
        if not getattr(flags, name):
            raise FlagError(f"--{name} is missing")


def fill(options: Callable[..., T], flags: argparse.Namespace, **others: Any) -> T:
    """A dataclass, of the flags that are called like its fields.

    `others` are the values of fields that are not as the flags say.
    """
    names = inspect.signature(options).parameters.keys() - others.keys()
    return options(**{name: getattr(flags, name) for name in names}, **others)


# --- What a flag's text may be --------------------------------------------------------


def whole(about: str, lowest: int, highest: int = sys.maxsize) -> Callable[[str], int]:
    """A whole number within bounds, which `about` tells."""

    def read(text: str) -> int:
        # Of more digits, int() would refuse to read it.
        if re.fullmatch(r"-?[0-9]{1,20}", text) and lowest <= int(text) <= highest:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not {about}")

    return read


def number(
    about: str, lowest: float = -math.inf, highest: float = math.inf
) -> Callable[[str], float]:
    """A finite number within bounds, which `about` tells."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and lowest <= value <= highest:
            return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {about}")

    return read


count = whole("a whole number from 1 on", 1)
seed = whole("a whole number from 0 to 4294967295", 0, 2**32 - 1)
not_negative = number("a number from 0 on", 0.0)
positive = number("a number above 0", math.ulp(0.0))
fraction = number("a number from 0 to 1", 0.0, 1.0)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


_METAVARS: dict[Any, str] = {
    **dict.fromkeys((count, seed), "N"),
    **dict.fromkeys((not_negative, positive, fraction), "X"),
    **dict.fromkeys(
        (storage.path, storage.path_or_none, storage.weights_path_or_none), "PATH"
    ),
}

"""Readers of the values that only job types have: handlers, commands, paths, variables, options."""

import json
import keyword
import math
import re
import shlex
from pathlib import Path
from typing import Any

from supervisor.jobtypes.problems import shown
from supervisor.yamltext.nodes import Items, Scalar, Table, seen
from supervisor.yamltext.values import Refused, Spot, flag, read_list, some_bytes, text

TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = "ASYNCWORKER_"


def handler(spot: Spot) -> str:
    """`package.module:function`, both sides dotted Python names."""
    target = text(spot)
    module, colon, function = target.partition(":")
    if not (colon and _is_dotted_name(module) and _is_dotted_name(function)):
        module, dot, function = target.rpartition(".")
        guess = f", did you mean {shown(f'{module}:{function}')}?" if dot and _is_dotted_name(target) else ""
        spot.refuse(f"must be package.module:function, but this is {shown(target)}{guess}")
    return target


def _is_dotted_name(name: str) -> bool:
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split("."))


def command(spot: Spot) -> tuple[str, ...]:
    """Program and arguments."""
    if isinstance(spot.node, Scalar) and spot.node.is_text and spot.node.text.strip():
        written = json.dumps(_split(spot.node.text), ensure_ascii=False)
        spot.refuse(f"must be a list, because no shell splits it; write {shown(written, 200)}")
    words = read_list(spot, _text_or_empty)
    if not words:
        spot.refuse("must name a program: [program, arg, ...]")
    if not words[0]:
        spot.items()[0].refuse("must name a program, but this is empty")
    return words


def _text_or_empty(spot: Spot) -> str:
    """Empty only where that is written, as ""."""
    if isinstance(spot.node, Scalar) and spot.node.value == "" and not spot.node.trap:
        return ""
    return text(spot)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote
        return line.split()


def description(spot: Spot) -> str:
    """One line, however it was folded in the file."""
    return " ".join(text(spot).split())


def path(spot: Spot) -> Path:
    """A path as written; what it is relative to is not known here."""
    written = text(spot)
    if written.startswith("~"):
        spot.refuse(f"~ is not expanded; write the whole path instead of {shown(written)}")
    return Path(written)


def paths(spot: Spot) -> tuple[Path, ...]:
    return read_list(spot, path)


def flag_or_paths(spot: Spot) -> bool | tuple[Path, ...]:
    if isinstance(spot.node, Items):
        return paths(spot)
    if not isinstance(spot.node, Scalar) or not isinstance(spot.node.value, bool):
        spot.want("true, false or a list of paths")
    return flag(spot)


def flag_or_size(spot: Spot) -> bool | int:
    if isinstance(spot.node, Scalar) and isinstance(spot.node.value, bool):
        return spot.node.value
    return some_bytes(spot)


def inherited(spot: Spot) -> tuple[str, ...] | str:
    """Names of variables, or the word all."""
    if isinstance(spot.node, Scalar) and spot.node.value == "all":
        return "all"
    if not isinstance(spot.node, Items):
        spot.want("all, or a list of variable names such as [LANG, TZ]")
    return read_list(spot, _variable)


def _variable(spot: Spot) -> str:
    name = text(spot)
    if name == "all":
        spot.refuse("all is not the name of a variable here; write inherit: all")
    _check_variable(spot, name)
    return name


def _check_variable(spot: Spot, name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        spot.refuse(f"{shown(name)} is no name for a variable: use letters, digits and _, no digit first")


def variables(spot: Spot) -> dict[str, str]:
    """The environment to set: name -> text, none of them ours."""
    if not isinstance(spot.node, Table) and not spot.is_empty:
        spot.want("a mapping of variables to strings")
    values = {}
    for name in spot.names():
        try:
            values[name] = _variable_value(spot.at(name), name)
        except Refused:
            continue
    return values


def _variable_value(spot: Spot, name: str) -> str:
    _check_variable(spot, name)
    if name.startswith(_OURS):
        spot.refuse(f"names beginning with {_OURS} are set by AsyncWorker; choose another")
    return _text_or_empty(spot)


def options(spot: Spot) -> dict[str, Any]:
    """A mapping that JSON can carry, every value in it meaning one thing only."""
    if spot.is_empty:
        return {}
    if not isinstance(spot.node, Table):
        spot.want("a mapping")
    return {key: as_json(spot.at(key)) for key in spot.names()}


def as_json(spot: Spot) -> Any:
    """The value as JSON has it. Mistakes are reported and read as None, so that the rest is read too."""
    node = spot.node
    if isinstance(node, Items):
        return [as_json(item) for item in spot.items()]
    if isinstance(node, Table):
        return {key: as_json(spot.at(key)) for key in node.entries}
    what = ""
    if node.trap == "a boolean":
        what = f'{seen(node)}; write true or false, or quote it: "{shown(node.text)}"'
    elif "number" in node.trap:
        what = f'{seen(node)}; write it in decimal digits, or quote it: "{shown(node.text)}"'
    elif node.trap:
        what = f'{seen(node)}; quote it: "{shown(node.text)}"'
    elif isinstance(node.value, float) and not math.isfinite(node.value):
        what = f'{shown(node.text)} is no number in JSON; quote it: "{shown(node.text)}"'
    if what:
        spot.problems.report(spot.line, spot.path, what)
    return None if what else node.value

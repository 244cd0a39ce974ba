"""What a plain YAML word stands for, and which words are traps.

YAML 1.1 turns `no` into False, `1:30` into 90, `010` into 8 and `2026-01-01` into a date. Here such
a word is kept with the name of the trap, so that whoever wanted a string can say "quote it".
"""

import re
from collections.abc import Callable

import yaml

from supervisor.yamltext.nodes import Scalar

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {"inf": float("inf"), "+inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_MOST_DIGITS = 30
TAG = "tag:yaml.org,2002:"
_resolve: Callable[..., str] = yaml.resolver.Resolver().resolve


def quoted(line: int, text: str) -> Scalar:
    """A word that is a string, whatever it looks like."""
    return Scalar(line, text, text, plain=False)


def plain(line: int, text: str) -> Scalar:
    """A word without quotes: none, true or false, a number, a string, or a trap."""
    tag = _resolve(yaml.ScalarNode, text, (True, False)).removeprefix(TAG)
    if tag == "null":
        return Scalar(line, text, None)
    if tag == "bool":
        return _boolean(line, text)
    if tag == "timestamp":
        return Scalar(line, text, text, trap="a date")
    # 1e3 is a number to everybody but YAML 1.1; 08 is a string to YAML 1.1, and stays one.
    if tag in ("int", "float") or (_DECIMAL.fullmatch(text) and "e" in text.lower()):
        return _number(line, text)
    return Scalar(line, text, text)


def _boolean(line: int, text: str) -> Scalar:
    word = text.lower()
    trap = "" if word in ("true", "false") else "a boolean"
    return Scalar(line, text, word in ("true", "yes", "on"), trap=trap)


def _number(line: int, text: str) -> Scalar:
    special = text.lower().replace(".", "", 1)
    if special in _SPECIAL:
        return Scalar(line, text, _SPECIAL[special])
    if len(text) > _MOST_DIGITS:
        return Scalar(line, text, text, trap=f"a number of more than {_MOST_DIGITS} characters")
    if _WHOLE.fullmatch(text):
        return Scalar(line, text, int(text))
    if _DECIMAL.fullmatch(text) and not text.lstrip("+-").isdigit():
        return Scalar(line, text, float(text))
    return Scalar(line, text, text, trap=_notation(text.lower().lstrip("+-")))


def _notation(text: str) -> str:
    if ":" in text:
        return "a number in base 60"
    if "_" in text:
        return "a number with underscores"
    return {"0x": "a hexadecimal number", "0b": "a binary number"}.get(text[:2], "an octal number")

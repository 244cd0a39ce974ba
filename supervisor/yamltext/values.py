"""Readers: from a place in a YAML file to a value, or a mistake at that place.

A reader is given a Spot and returns the value, or refuses. Tables and lists go on after a refusal,
so that every mistake is found in one go.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from supervisor.jobtypes.problems import Problems, shown
from supervisor.units import DURATION, SIZE, duration, size
from supervisor.yamltext.nodes import Items, Node, Scalar, Table, seen


class Refused(Exception):
    """The value here is unusable; why is among the problems already."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the file: what stands there, and how to say so."""

    node: Node
    path: str
    line: int
    problems: Problems

    def refuse(self, what: str) -> NoReturn:
        self.problems.report(self.line, self.path, what)
        raise Refused

    def want(self, wanted: str) -> NoReturn:
        self.refuse(f"must be {wanted}, but {seen(self.node)}")

    def at(self, key: str) -> "Spot":
        """The value of a key; anything but a table is wanted to be one."""
        if not isinstance(self.node, Table):
            self.want("a mapping")
        path = f"{self.path}.{shown(key)}" if self.path else shown(key)
        return Spot(self.node.entries[key], path, self.node.key_lines[key], self.problems)

    def items(self) -> "list[Spot]":
        """The values of a list; anything else is wanted to be one."""
        if not isinstance(self.node, Items):
            self.want("a list, such as [a, b]")
        return [
            Spot(node, f"{self.path}[{index}]", node.line, self.problems)
            for index, node in enumerate(self.node.items)
        ]

    def names(self) -> list[str]:
        return list(self.node.entries) if isinstance(self.node, Table) else []

    @property
    def is_empty(self) -> bool:
        """A key without a value, or with null."""
        return isinstance(self.node, Scalar) and self.node.value is None


Reader = Callable[[Spot], Any]
Readers = Mapping[str, Reader]


def text(spot: Spot) -> str:
    """A string that is not empty."""
    node = spot.node
    if not isinstance(node, Scalar) or node.value is None:
        spot.want("a string")
    if not node.is_text:
        spot.refuse(f'must be a string, but {seen(node)}; quote it: "{shown(node.text)}"')
    if not node.text or "\0" in node.text:
        spot.refuse("must not hold a NUL character" if node.text else "must not be empty")
    return node.text


def flag(spot: Spot) -> bool:
    if not isinstance(spot.node, Scalar) or not isinstance(spot.node.value, bool):
        spot.want("true or false")
    return spot.node.value


def whole_number(lowest: int, highest: int) -> Reader:
    """A reader of integers between these two."""

    def read(spot: Spot) -> int:
        value = spot.node.value if isinstance(spot.node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int):
            spot.want("a whole number")
        if not lowest <= value <= highest:
            spot.refuse(f"must be from {lowest} to {highest}, but this is {value}")
        return value

    return read


def one_of(*words: str) -> Reader:
    def read(spot: Spot) -> str:
        if not isinstance(spot.node, Scalar) or not spot.node.is_text or spot.node.text not in words:
            spot.want(" or ".join(words))
        return spot.node.text

    return read


def seconds(spot: Spot) -> float:
    return float(_measured(spot, duration, DURATION))


def some_seconds(spot: Spot) -> float:
    """A duration longer than nothing."""
    return seconds(spot) or spot.refuse("must be longer than 0")


def size_in_bytes(spot: Spot) -> int:
    return int(_measured(spot, size, SIZE))


def some_bytes(spot: Spot) -> int:
    """A size larger than nothing."""
    return size_in_bytes(spot) or spot.refuse("must be larger than 0")


def _measured(spot: Spot, measure: Callable[[Any], float], wanted: str) -> float:
    node = spot.node
    if not isinstance(node, Scalar) or node.trap or node.value is None or isinstance(node.value, bool):
        spot.want(wanted)
    try:
        return measure(node.value)
    except ValueError as error:
        spot.refuse(f"{error}, but this is {shown(node.text)}")


def or_none(reader: Reader) -> Reader:
    """Also takes null: the key is as good as not given, whatever the defaults say."""
    return lambda spot: None if spot.is_empty else reader(spot)


def read_list(spot: Spot, reader: Reader) -> tuple[Any, ...]:
    """Every item by one reader; refuses when any item is refused, after all were read."""
    values = []
    items = spot.items()
    for item in items:
        try:
            values.append(reader(item))
        except Refused:
            continue
    if len(values) < len(items):
        raise Refused
    return tuple(values)


def read_table(spot: Spot, readers: Readers) -> dict[str, Any]:
    """The keys that could be read; whatever could not is reported. An empty value is an empty table."""
    if not isinstance(spot.node, Table) and not spot.is_empty:
        spot.want("a mapping")
    values = {}
    for key in spot.names():
        try:
            read = readers.get(key) or unknown(key, readers)
            values[key] = read(spot.at(key))
        except Refused:
            continue
    return values


def table(readers: Readers) -> Reader:
    return lambda spot: read_table(spot, readers)


def nearest(key: str, known: Readers) -> str | None:
    """The known key that was probably meant."""
    spelled = key.lower().replace("-", "_")
    longer = [name for name in known if len(spelled) > 2 and name.startswith(spelled)]
    return next(iter(difflib.get_close_matches(spelled, known, n=1) + longer), None)


def mentioned(spot: Spot, known: Readers) -> frozenset[str]:
    """The known keys that are given here, mistaken or misspelt as they may be."""
    return frozenset(key if key in known else nearest(key, known) or key for key in spot.names())


def unknown(key: str, known: Readers) -> Reader:
    """The reader of a key that is none of the known ones."""
    meant = nearest(key, known)
    hint = f", did you mean {meant}?" if meant else f"; known here: {', '.join(known)}"
    return lambda spot: spot.refuse(f"unknown key{hint}")

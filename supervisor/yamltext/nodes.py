"""The values of a YAML file, each with the line it stands on."""

from dataclasses import dataclass
from typing import ClassVar

from supervisor.jobtypes.problems import shown


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts."""

    line: int
    text: str
    """As written, without quotes."""
    value: bool | int | float | str | None
    plain: bool = True
    """Not quoted."""
    trap: str = ""
    """What YAML takes the word for although many people would not: "a date", "a number in base 60"..."""
    weight: ClassVar[int] = 1
    height: ClassVar[int] = 0

    @property
    def is_text(self) -> bool:
        return isinstance(self.value, str) and not self.trap


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    items: tuple["Node", ...]
    weight: int
    """How many values it is, written out."""
    height: int
    """Levels of nesting."""


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with string keys, in file order."""

    line: int
    entries: dict[str, "Node"]
    key_lines: dict[str, int]
    weight: int
    height: int


Node = Scalar | Items | Table


def seen(node: Node) -> str:
    """What stands in the file, as the second half of "must be a string, but ..."."""
    if isinstance(node, Items):
        return "this is a list"
    if isinstance(node, Table):
        return "this is a mapping"
    if node.value is None:
        return "there is nothing"
    if node.trap or isinstance(node.value, bool):
        return f"YAML reads {shown(node.text)} as {node.trap or 'a boolean'}"
    if isinstance(node.value, str):
        return f'this is "{shown(node.text)}"'
    return f"{shown(node.text)} is a number"

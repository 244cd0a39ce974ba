"""The parser's events, one by one, become a tree of values with lines.

Never its constructors: no tag can run anything, nesting is bounded, and an alias is the same
object again, counted by what it would weigh written out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from supervisor.jobtypes.problems import Problems, shown
from supervisor.yamltext.nodes import Items, Node, Scalar, Table
from supervisor.yamltext.scalars import TAG, plain, quoted

DEEPEST = 40
"""Levels of nesting, those that come in by an alias included."""
MOST_COPIED = 50_000
"""Values that all aliases of a file may stand for: a bomb of nested aliases passes this at once."""


class Unusable(Exception):
    """What was reported last leaves nothing to go on with."""


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been heard."""

    line: int
    anchor: str | None
    is_list: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)
    merged: list[Table] = field(default_factory=list)
    key: Node | None = None
    weight: int = 1
    height: int = 1

    def close(self) -> Node:
        if self.is_list:
            return Items(self.line, tuple(self.items), self.weight, self.height)
        for table in self.merged:
            for key, node in table.entries.items():
                self.entries.setdefault(key, node)
                self.key_lines.setdefault(key, table.key_lines[key])
        return Table(self.line, self.entries, self.key_lines, self.weight, self.height)


class TreeBuilder:
    """Hears the parser's events in order; `root` is the document once they have ended."""

    def __init__(self, problems: Problems, line_of: Callable[[int], int]) -> None:
        self.problems = problems
        self._line_of = line_of
        self.root: Node | None = None
        self.line = 1
        self._open: list[_Open] = []
        self._anchored: dict[str, Node | None] = {}
        self._copied = 0
        self._documents = 0

    def hear(self, event: yaml.Event) -> None:
        if event.start_mark is not None:
            self.line = self._line_of(event.start_mark.line)
        match event:
            case yaml.DocumentStartEvent():
                self._begin_document()
            case yaml.ScalarEvent():
                self._place(self._anchor(event.anchor, self._scalar(event)))
            case yaml.AliasEvent():
                self._place(self._alias(event.anchor or ""))
            case yaml.CollectionStartEvent():
                self._begin(event)
            case yaml.CollectionEndEvent():
                closed = self._open.pop()
                self._place(self._anchor(closed.anchor, closed.close()))

    def _begin_document(self) -> None:
        self._documents += 1
        if self._documents > 1:
            self._give_up("a second document begins here (---); keep one document in the file")

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        self._refuse_tag(event.tag, allowed=("!", f"{TAG}str"))
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            self._report("holds half of a surrogate pair, which is no character; correct the \\u escape")
        unquoted = event.tag is None and not event.style
        return (plain if unquoted else quoted)(self.line, event.value)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._refuse_tag(event.tag, allowed=(f"{TAG}seq" if is_list else f"{TAG}map",))
        if event.anchor is not None:
            self._anchored[event.anchor] = None
        self._open.append(_Open(self.line, event.anchor, is_list))
        self._check_depth(0)

    def _anchor(self, name: str | None, node: Node) -> Node:
        if name is not None:
            self._anchored[name] = node
        return node

    def _alias(self, name: str) -> Node:
        node = self._anchored.get(name)
        if node is None:
            inside = name in self._anchored
            wrong = "is part of what it stands for" if inside else "has no anchor (&) above it"
            self._give_up(f"the alias *{shown(name)} {wrong}")
        self._copied += node.weight
        if self._copied > MOST_COPIED:
            self._give_up(f"the aliases so far stand for more than {MOST_COPIED} values; use fewer")
        self._check_depth(node.height)
        return node

    def _check_depth(self, height: int) -> None:
        if len(self._open) + height > DEEPEST:
            self._give_up(f"more than {DEEPEST} levels of nesting; flatten it")

    def _place(self, node: Node) -> None:
        """Give a finished value to whatever it is part of."""
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.weight += node.weight
        parent.height = max(parent.height, node.height + 1)
        if parent.is_list:
            parent.items.append(node)
        elif parent.key is None:
            self._check_key(node)
            parent.key = node
        else:
            self._enter(parent, parent.key, node)
            parent.key = None

    def _check_key(self, node: Node) -> None:
        if not isinstance(node, Scalar):
            self._report("a key must be a single word, not a list or a mapping")
        elif not node.text and node.plain:
            self._report("a key is missing before the colon", node.line)
        elif not node.is_text:
            kinds = {type(None): "nothing", bool: "a boolean"}
            taken_for = node.trap or kinds.get(type(node.value), "a number")
            what = f'the key {shown(node.text)} is {taken_for} to YAML; quote it: "{shown(node.text)}"'
            self._report(what, node.line)

    def _enter(self, parent: _Open, key: Node, node: Node) -> None:
        if not isinstance(key, Scalar) or not key.is_text:
            return
        if key.plain and key.text == "<<":
            parent.merged += self._mergeable(node, key.line)
        elif key.text in parent.entries:
            first = parent.key_lines[key.text]
            self._report(f"given twice, first on line {first}; keep one", key.line)
        else:
            parent.entries[key.text] = node
            parent.key_lines[key.text] = key.line

    def _mergeable(self, node: Node, line: int) -> list[Table]:
        """What `<<` may bring in; in a list the earlier mapping wins."""
        given = list(node.items) if isinstance(node, Items) else [node]
        tables = [one for one in given if isinstance(one, Table)]
        if len(tables) < len(given):
            self._report("must be a mapping or a list of mappings, such as *an_alias", line)
        return tables

    def _refuse_tag(self, tag: str | None, allowed: tuple[str, ...]) -> None:
        if tag is not None and tag not in allowed:
            self._report(f"the tag {shown(tag.replace(TAG, '!!'))} has no meaning here; remove it")

    def _path(self) -> str:
        path = ""
        for part in self._open:
            if part.is_list:
                path += f"[{len(part.items)}]"
            elif isinstance(part.key, Scalar):
                path += f".{shown(part.key.text)}" if path else shown(part.key.text)
        return path

    def _report(self, what: str, line: int | None = None) -> None:
        self.problems.report(line or self.line, self._path(), what)

    def _give_up(self, what: str) -> NoReturn:
        self._report(what)
        raise Unusable

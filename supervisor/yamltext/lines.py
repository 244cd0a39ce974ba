"""YAML text -> values that know their line, or every mistake in the YAML itself."""

import re

import yaml

from supervisor.jobtypes.problems import Problems, shown
from supervisor.yamltext.nodes import Node, Scalar
from supervisor.yamltext.tree import TreeBuilder, Unusable

_EDITORS = r"\r\n?|\n"
_YAMLS = re.compile(_EDITORS + "|[\x85\u2028\u2029]")


class Lines:
    """The lines of a text as editors count them; YAML 1.1 has more: NEL, LS and PS end one, too."""

    def __init__(self, text: str) -> None:
        self._numbers = [1]
        """By the number that PyYAML gives to the line."""
        for found in _YAMLS.finditer(text):
            self._numbers.append(self._numbers[-1] + (found[0] in ("\n", "\r", "\r\n")))

    def at(self, number: int) -> int:
        return self._numbers[number]


def read_yaml(text: str, problems: Problems) -> Node | None:
    """The one document of a text. None when its structure is broken; `problems` then says how."""
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = len(re.findall(_EDITORS, text[: unprintable.start()])) + 1
        problems.report(line, "", f"is not text: it holds {unprintable[0]!r}; remove this character")
        return None
    lines = Lines(text)
    builder = TreeBuilder(problems, lines.at)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.hear(event)
    except Unusable:
        return None
    except yaml.MarkedYAMLError as error:
        problems.report(_line_of(error, lines), "", _advice(error))
        return None
    except (yaml.YAMLError, ValueError, OverflowError):  # PyYAML lets chr() and int() fail
        problems.report(builder.line, "", "is not YAML: an escape like \\U or a number here is out of range")
        return None
    return builder.root or Scalar(1, "", None)


def _line_of(error: yaml.MarkedYAMLError, lines: Lines) -> int:
    mark = error.problem_mark or error.context_mark
    return lines.at(mark.line) if mark is not None and mark.line is not None else 1


def _advice(error: yaml.MarkedYAMLError) -> str:
    """What to do about the parser's own words for a syntax error."""
    said = error.problem or ""
    if "'\\t'" in said:
        return "is not YAML: this line is indented with a tab; use spaces"
    if "mapping values are not allowed" in said:
        return 'is not YAML: no ": " can stand here; quote the value that holds it, or check the indentation'
    if "<stream end>" in said or "end of stream" in said:
        return "is not YAML: the file ends inside a bracket or a quote; close it"
    return f"is not YAML: {shown(said, 120)}; correct this line or the one before it"

"""YAML text -> values that know their line, or every mistake in the YAML itself."""

import yaml

from supervisor.jobtypes.problems import Problems, shown
from supervisor.yamltext.nodes import Node, Scalar
from supervisor.yamltext.tree import TreeBuilder, Unusable


def read_yaml(text: str, problems: Problems) -> Node | None:
    """The one document of a text. None when its structure is broken; `problems` then says how."""
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        problems.report(line, "", f"is not text: it holds {unprintable[0]!r}; remove this character")
        return None
    builder = TreeBuilder(problems)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.hear(event)
    except Unusable:
        return None
    except yaml.MarkedYAMLError as error:
        problems.report(_line_of(error), "", _advice(error))
        return None
    except (yaml.YAMLError, ValueError, OverflowError):  # PyYAML lets chr() and int() fail
        problems.report(builder.line, "", "is not YAML: an escape like \\U or a number here is out of range")
        return None
    return builder.root or Scalar(1, "", None)


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None and mark.line is not None else 1


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

"""A supervisor with other constants than its own: altered.py MODULE:NAME=VALUE ...

What takes half a minute in the product is tried in half a second, and the product needs no hook for that.
"""

import ast
import importlib
import sys

from supervisor import serve


def alter(assignment: str) -> None:
    place, _, value = assignment.partition("=")
    module, _, name = place.partition(":")
    home = importlib.import_module(module)
    assert hasattr(home, name), f"there is no {place}"
    setattr(home, name, ast.literal_eval(value))


if __name__ == "__main__":
    for each in sys.argv[1:]:
        alter(each)
    raise SystemExit(serve.serve())

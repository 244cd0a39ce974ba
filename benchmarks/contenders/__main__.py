"""`python -m benchmarks.contenders NAME FOLDER [VARIANT]`: drive one contender by lines on standard input.

A program of its own for each, in the virtual environment that has what it needs. That it is the `__main__`
of a package matters: `multiprocessing` imports any other main module once more in every child.
"""

import importlib
import sys
from pathlib import Path


def main() -> None:
    name, folder, *variant = sys.argv[1:]
    from benchmarks.contenders.driving import drive  # noqa: PLC0415  (the children of some import this file)

    module = importlib.import_module(f"benchmarks.contenders.{name}")
    drive(module.contender(Path(folder), *variant), iter(sys.stdin.readline, ""))


if __name__ == "__main__":
    main()

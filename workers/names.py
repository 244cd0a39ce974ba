"""Our three package names are not ours alone: a user's `workers` package must win in a job."""

import importlib
import os
import sys
import types
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

OURS = ("supervisor", "workers", "cli")
_HERE = Path(__file__).resolve().parent.parent


def is_foreign(name: str, import_paths: Sequence[str | os.PathLike[str]]) -> bool:
    """True where the import paths hold a package or module of the user's with one of our names."""
    if name not in OURS:
        return False
    spec = PathFinder.find_spec(name, [os.fspath(path) for path in import_paths])
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    return not any(Path(place).resolve().is_relative_to(_HERE / name) for place in places)


def give_up(import_paths: Sequence[str]) -> None:
    """Let the user's packages have the names that they use too.

    Our own modules are loaded by now and go on working through the references they hold; only
    their entries in sys.modules go. What is imported late is imported before.
    """
    foreign = [name for name in OURS if is_foreign(name, import_paths)]
    if not foreign:
        return
    importlib.import_module("workers.coroutine")
    public = importlib.import_module("asyncworker")
    for name in ("Discard", "JobCancelled", "JobContext", "Retry"):
        setattr(public, name, getattr(public, name))
    for module in list(sys.modules):
        if module.partition(".")[0] in foreign:
            del sys.modules[module]


def hide_main() -> None:
    """Give the job a blank `__main__`: its own spawned processes would import ours again, by its name."""
    sys.modules["__main__"] = types.ModuleType("__main__")

"""'package.module:function' -> the callable, with an error that helps."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from workers import names


class TargetError(Exception):
    """The handler that a job type names cannot be had."""


def resolve(target: str, import_paths: Sequence[str | os.PathLike[str]]) -> Callable[..., Any]:
    """Import the module and walk to the function.

    Raises TargetError with one sentence; what the user's own module raised is its cause.
    """
    module_name, _, path = target.partition(":")
    _search_first(import_paths)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise TargetError(_not_found(module_name, error, import_paths)) from error
    except Exception as error:
        raise TargetError(f"importing {module_name} raised {type(error).__qualname__}: {error}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise TargetError(f"{module_name} has no {path}; check the handler in jobtypes.yaml") from error
    if not callable(found):
        raise TargetError(f"{target} is not callable: it is a {type(found).__qualname__}")
    function: Callable[..., Any] = found
    return function


def _search_first(import_paths: Sequence[str | os.PathLike[str]]) -> None:
    first = [os.fspath(path) for path in import_paths]
    sys.path[:] = first + [path for path in sys.path if path not in first]
    importlib.invalidate_caches()
    names.give_up(first)


def _not_found(
    module: str, error: ModuleNotFoundError, import_paths: Sequence[str | os.PathLike[str]]
) -> str:
    looked = ", ".join(_place(path) for path in import_paths)
    if error.name and (module == error.name or module.startswith(error.name + ".")):
        return f"there is no module {error.name} (looked in {looked} and the installed packages)"
    return f"importing {module} failed: it needs a module {error.name}, which is not installed"


def _place(path: str | os.PathLike[str]) -> str:
    """With a word on a folder that this user may not read: what is in it looks as if it were not there."""
    return f"{path}{'' if os.access(path, os.R_OK | os.X_OK) else ', which cannot be read,'}"

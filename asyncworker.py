"""AsyncWorker's public face: what callers and handlers import, and where its commands begin.

`supervisor`, `workers` and `cli` are names that others use too, so nobody but AsyncWorker itself
imports them. What is named here is imported from there when it is first asked for.
"""

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.client import Client, NewJob
    from workers.context import JobCancelled, JobContext
    from workers.wishes import Discard, Retry

__all__ = ["Client", "Discard", "JobCancelled", "JobContext", "NewJob", "Retry"]

_HOMES = {
    "Client": "supervisor.client",
    "Discard": "workers.wishes",
    "JobCancelled": "workers.context",
    "JobContext": "workers.context",
    "NewJob": "supervisor.client",
    "Retry": "workers.wishes",
}
_PACKAGES = ("supervisor", "workers", "cli")
_ADVICE = "install AsyncWorker afresh, in a virtual environment of its own"


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    complaint = _complaint(_HOMES[name].partition(".")[0])
    if complaint:
        raise ImportError(complaint)
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found  # from now on it is ours, whatever becomes of its home's name in this process
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def check_names() -> None:
    """End with exit code 2 and one sentence where another package has taken a name of ours.

    Installers notice nothing: a distribution called `supervisor` overwrites our files, and removing
    it deletes them. So every entry point calls this before it imports anything else of ours.
    """
    for package in _PACKAGES:
        complaint = _complaint(package)
        if complaint:
            sys.stderr.write(f"asyncworker: {complaint}\n")
            raise SystemExit(2)


def main() -> None:
    """Run the `asyncworker` command."""
    _open_closed()
    check_names()
    from cli import main as command_line  # noqa: PLC0415  (not before the names are checked)

    command_line.main()


def _open_closed() -> None:
    """/dev/null in place of standard streams that are closed: nothing else may get their numbers."""
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, flags)  # the lowest number that is free: this one
            os.set_inheritable(null, True)
    # None where it was closed when Python began.
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _complaint(package: str) -> str | None:
    """What is wrong with the package found under this name, and what to do about it; None if it is ours."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return f"its package {package!r} is missing; {_ADVICE}."
    places = list(spec.submodule_search_locations or ())
    place = places[0] if places else str(spec.origin)
    advice = _ADVICE if "-packages" in place else f"{_ADVICE}, and keep that folder off PYTHONPATH"
    if spec.origin is None:
        return f"{place} has no __init__.py, so it is not AsyncWorker's package {package!r}; {advice}."
    if not places or not _is_ours(package):
        return f"{place} is not AsyncWorker's package {package!r} but another's; {advice}."
    return None


def _is_ours(package: str) -> bool:
    try:
        return getattr(importlib.import_module(package), "DISTRIBUTION", None) == "asyncworker"
    except (Exception, SystemExit):  # noqa: BLE001  another's package may end in any way when it is imported
        return False


if __name__ == "__main__":
    main()

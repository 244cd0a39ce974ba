"""A handler as it is called: the function that a job type names, and what it wants to be given.

Both are found out once, in the keeper, where the handler is imported beforehand: to read a signature
costs a child more than everything else that it does before the call.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from workers.context import JobContext
from workers.target import resolve


class Wants(Enum):
    """`def f(payload)`, `def f(payload, job)`, `def f(payload, *, job)`, `def f(payload, x=1, job=None)`."""

    PAYLOAD = 1
    PAYLOAD_AND_JOB = 2
    JOB_BY_NAME = 3


@dataclass(frozen=True, slots=True)
class Handler:
    """What there is to call."""

    function: Callable[..., Any]
    wants: Wants

    def call(self, payload: Any, job: JobContext) -> Any:
        """What it returns; a coroutine where it is an `async def`."""
        if self.wants is Wants.JOB_BY_NAME:
            return self.function(payload, job=job)
        if self.wants is Wants.PAYLOAD_AND_JOB:
            return self.function(payload, job)
        return self.function(payload)


_kept: dict[tuple[str, ...], Handler] = {}
"""By target and import paths: what this process, or the one that forked it, has imported for good."""


def find(target: str, import_paths: Sequence[str]) -> Handler:
    """Raises TargetError with one sentence where there is none."""
    return _kept.get((target, *import_paths)) or _found(target, import_paths)


def keep(target: str, import_paths: Sequence[str]) -> None:
    """Import it for every process that is forked from here. Raises as `find` does."""
    _kept[target, *import_paths] = _found(target, import_paths)


def _found(target: str, import_paths: Sequence[str]) -> Handler:
    function = resolve(target, import_paths)
    return Handler(function, wants(function))


def wants(function: Callable[..., Any]) -> Wants:
    """What its signature has room for."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin without a signature takes what it is given first
        return Wants.PAYLOAD
    if any(p.name == "job" and p.kind is p.KEYWORD_ONLY for p in parameters):
        return Wants.JOB_BY_NAME
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    if len(needed) >= 2 or [p.name for p in positional[1:2]] == ["job"]:
        return Wants.PAYLOAD_AND_JOB
    if any(p.name == "job" and p.kind is p.POSITIONAL_OR_KEYWORD for p in positional[1:]):
        return Wants.JOB_BY_NAME
    return Wants.PAYLOAD

"""What changed between two readings of the job types, as a person would say it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any, Literal

from supervisor.jobtypes.records import JobType, JobTypes

_NOT_CONFIGURED = {"given", "name"}
_HIDDEN = "env.set."
"""What stands there may be a password: that it changed is told, and not from what to what."""


@dataclass(frozen=True, slots=True)
class Change:
    """One type more or less, or one key with another value."""

    kind: Literal["added", "removed", "changed"]
    type: str | None
    """None: it concerns all of them."""
    key: str | None = None
    """Dotted, such as `limits.memory`."""
    old: str | None = None
    new: str | None = None


def changes(before: JobTypes, after: JobTypes) -> list[Change]:
    """Types that have gone, types that have come, then key by key what is different."""
    gone = [Change("removed", name) for name in before.types if name not in after.types]
    come = [Change("added", name) for name in after.types if name not in before.types]
    kept = [name for name in after.types if name in before.types]
    paths = _different(None, {"import_paths": before.import_paths}, {"import_paths": after.import_paths})
    keys = [
        change
        for name in kept
        for change in _different(name, _flat(before.types[name]), _flat(after.types[name]))
    ]
    return [*gone, *come, *paths, *keys]


def _different(type_: str | None, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            old, new = (_text(key, side.get(key)) for side in (before, after))
            yield Change("changed", type_, key, old, new)


def _flat(job_type: JobType) -> dict[str, Any]:
    """Key -> value; what stands in a mapping of settings has a dotted key."""
    return dict(_keys("", job_type))


def _keys(above: str, value: Any) -> Iterator[tuple[str, Any]]:
    for each in fields(value):
        key, inner = f"{above}{each.name}", getattr(value, each.name)
        if each.name in _NOT_CONFIGURED:
            continue
        if is_dataclass(inner):
            yield from _keys(f"{key}.", inner)
        elif isinstance(inner, Mapping):
            yield from ((f"{key}.{name}", item) for name, item in inner.items())
        else:
            yield key, inner


def _text(key: str, value: Any) -> str:
    if value is None:
        return "not set"
    return "(hidden)" if key.startswith(_HIDDEN) else json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value

"""The keys of jobtypes.yaml, and how the value of each is read."""

from supervisor.jobtypes.values import (
    command,
    description,
    flag_or_paths,
    flag_or_size,
    handler,
    inherited,
    options,
    path,
    paths,
    variables,
)
from supervisor.yamltext.values import (
    Reader,
    Spot,
    flag,
    one_of,
    or_none,
    seconds,
    size_in_bytes,
    some_bytes,
    some_seconds,
    table,
    text,
    whole_number,
)

MOST_CHILDREN = 10_000
"""Children of one type at a time: more than any one machine runs."""

_INT32 = 2**31 - 1
_count = whole_number(1, _INT32)

RETRIES: dict[str, Reader] = {
    "max_attempts": _count,
    "backoff": one_of("fixed", "exponential"),
    "initial": seconds,
    "max": or_none(seconds),
    "jitter": flag,
}

LIMITS: dict[str, Reader] = {
    "memory": or_none(some_bytes),
    "cpu_time": or_none(some_seconds),
    "processes": or_none(_count),
    "open_files": or_none(_count),
    "file_size": or_none(size_in_bytes),
    "output": size_in_bytes,
}

RUN_AS: dict[str, Reader] = {"user": text, "group": or_none(text)}

ENV: dict[str, Reader] = {"inherit": inherited, "set": variables}

SANDBOX: dict[str, Reader] = {
    "network": flag,
    "private_tmp": flag_or_size,
    "read_only": flag_or_paths,
    "writable": paths,
    "no_new_privileges": flag,
}


def _run_as(spot: Spot) -> object:
    """Unlike other tables never empty: that would look like "as nobody in particular"."""
    if spot.is_empty:
        spot.refuse("is empty; give a user, or remove the key")
    return table(RUN_AS)(spot)


JOB_TYPE: dict[str, Reader] = {
    "handler": or_none(handler),
    "command": or_none(command),
    "max_concurrency": whole_number(1, MOST_CHILDREN),
    "description": or_none(description),
    "options": options,
    "priority": whole_number(-_INT32 - 1, _INT32),
    "timeout": or_none(some_seconds),
    "grace": seconds,
    "retries": table(RETRIES),
    "on_owner_death": one_of("fail", "retry"),
    "max_crashes": _count,
    "limits": table(LIMITS),
    "run_as": _run_as,
    "working_directory": or_none(path),
    "env": table(ENV),
    "nice": whole_number(-20, 19),
    "sandbox": table(SANDBOX),
    "preload": flag,
}

NESTED = ("options", "retries", "limits", "run_as", "env", "sandbox")
"""The keys whose value is a mapping: a type's own is laid over that of the defaults, one level deep."""

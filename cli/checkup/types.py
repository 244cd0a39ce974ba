"""The job types: every mistake, and every handler that cannot be imported."""

import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cli.checkup.finding import CONFIGURATION, Finding, failure, ok, warning
from supervisor.errors import InvalidConfiguration
from supervisor.jobtypes.load import load
from supervisor.jobtypes.records import JobTypes

Import = Callable[[str, Sequence[Path]], str | None]
"""Why a handler cannot be imported; None where it can."""


def read(config: Path) -> JobTypes | str:
    """Or the mistakes, a line each."""
    try:
        return load(config)
    except InvalidConfiguration as error:
        return str(error)


def judge(config: Path, types: JobTypes | str) -> Iterator[Finding]:
    if isinstance(types, str):
        for mistake in types.splitlines():
            yield failure(
                "job types", mistake, "Correct the file; asyncworker check looks at it alone.", CONFIGURATION
            )
        return
    number = len(types.types)
    yield ok("job types", f"{config}: {number} job type{'' if number == 1 else 's'}")


def judge_mode(config: Path, types: JobTypes | str, mode: int) -> Iterator[Finding]:
    """Who may write the file decides what runs, and as whom."""
    shown = f"{config} has mode {stat.S_IMODE(mode):04o}"
    if mode & 0o022:
        yield warning(
            "job types",
            f"{shown}: others on this machine can write it, and have the service run what they like",
            f"chmod go-w {config}",
        )
    secrets = not isinstance(types, str) and [name for name, each in types.types.items() if each.env.set]
    if secrets and mode & 0o044:
        yield warning(
            "job types",
            f"{shown}: others on this machine can read what env.set of {', '.join(secrets)} hands to jobs",
            f"chmod go-r {config}, where that is secret; or name the variables in env.inherit.",
        )


def judge_handlers(types: JobTypes, import_failure: Import) -> Iterator[Finding]:
    """A handler of several types is imported once."""
    of = {each.handler: name for name, each in types.types.items() if each.handler}
    failures = {handler: import_failure(handler, types.import_paths) for handler in of}
    for handler, why in failures.items():
        if why:
            yield failure(
                "handlers",
                f"{of[handler]}: {handler} cannot be imported: {why}",
                "Its jobs fail with not_started: install what it needs, or correct handler or import_paths.",
                CONFIGURATION,
            )
    if of and not any(failures.values()):
        yield ok("handlers", f"{len(of)} imported")

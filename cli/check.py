"""asyncworker check: every mistake in the job types, before the service meets one; starts nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.options import verb
from cli.output import say, talk
from supervisor.errors import InvalidConfiguration
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.jobtypes.records import JobTypes


@verb("check")
def check(at: Locations) -> None:
    """Check the job types file, and import every handler."""
    from supervisor.jobtypes.load import load  # noqa: PLC0415  (YAML, for this verb only)

    configured = load(_as_given(at.config))
    mistakes = _handlers_that_fail(configured, _as_given(at.config))
    for sentence in _what_this_host_refuses(configured):
        talk(f"Note: {sentence}")
    if mistakes:
        raise InvalidConfiguration("\n".join(mistakes))
    count = len(configured.types)
    say(f"{at.config.name} is valid: {count} job type{'' if count == 1 else 's'}")


def _handlers_that_fail(configured: "JobTypes", file: Path) -> list[str]:
    """A line for each job type whose handler cannot be imported. A handler of several is imported once."""
    from cli.rehearsal import import_failure  # noqa: PLC0415  (processes, for this verb only)

    targets = dict.fromkeys(each.handler for each in configured.types.values() if each.handler)
    failures = {target: import_failure(target, configured.import_paths) for target in targets}
    return [
        f"{file}: job_types.{each.name}.handler: {failure}"
        for each in configured.types.values()
        if each.handler and (failure := failures[each.handler])
    ]


def _what_this_host_refuses(configured: "JobTypes") -> list[str]:
    """A line for each job type whose jobs could not be confined here. The service may run elsewhere."""
    from supervisor.confining import confinement  # noqa: PLC0415  (processes, for this verb only)
    from workers.abilities import obstacle  # noqa: PLC0415

    return [
        f"{each.name}: its jobs would not be started here, by this user: {why}"
        for each in configured.types.values()
        if each.sandbox.asked or each.run_as
        if (why := obstacle(confinement(each, []), private=each.working_directory is None))
    ]


def _as_given(config: Path) -> Path:
    """Shorter in every message where the file lies in the current folder."""
    try:
        return config.relative_to(Path.cwd())
    except (ValueError, OSError):  # it lies elsewhere, or the current folder is gone
        return config

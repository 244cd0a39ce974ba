"""Whether /proc shows the service its processes."""

from collections.abc import Iterator

from cli.checkup.finding import CONFIGURATION, Finding, failure, ok


def judge(option: str | None) -> Iterator[Finding]:
    """By the option of /proc that hides them."""
    if option is None:
        yield ok("processes", "/proc shows every process of the service")
    else:
        yield failure(
            "processes",
            f"/proc is mounted with {option}: a service of this user does not see its own processes",
            "Mount it without that, or with gid= of a group that the service's user is in (proc(5)).",
            CONFIGURATION,
        )

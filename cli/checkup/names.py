"""Whether other distributions have our package names, too: whoever removes one of them removes our files."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions

from cli.checkup.finding import CONFIGURATION, Finding, failure, ok

_OURS = ("supervisor", "workers", "cli")


def installed() -> Mapping[str, Sequence[str]]:
    """Distributions by the packages that they bring."""
    return packages_distributions()


def judge(found: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    others = {name: sorted({*found.get(name, ())} - {"asyncworker"}) for name in _OURS}
    for name, takers in others.items():
        for taker in takers:
            yield failure(
                "names",
                f"the distribution {taker} has a package {name!r}, too: one overwrites the other",
                "Install AsyncWorker afresh, in a virtual environment of its own.",
                CONFIGURATION,
            )
    if not any(others.values()):
        yield ok(
            "names", f"no other distribution has a package called {', '.join(_OURS[:-1])} or {_OURS[-1]}"
        )

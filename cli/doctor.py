"""asyncworker doctor: everything that an installation needs, and what to do where it is missing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.harmless import harmless
from cli.options import json_option, option, verb
from cli.output import show, talk
from supervisor.settings import Locations

if TYPE_CHECKING:
    from cli.checkup.finding import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@verb("doctor")
@option(
    "--token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="As given to serve.",
)
@json_option
def doctor(at: Locations, token_file: Path | None, *, as_json: bool) -> int:
    """Look at everything that the service needs, and say what to do.

    Nothing is changed, and a service that runs is not disturbed. Handlers are imported, as by `check`.
    """
    from cli.checkup.examination import Examination  # noqa: PLC0415  (much, for this verb only)

    found: list[Finding] = []
    examination = Examination(at, token_file)

    def lines() -> Iterator[str]:
        for finding in examination.findings():
            found.append(finding)
            yield from _lines(finding)

    if as_json:
        found.extend(examination.findings())
    show([_document(finding) for finding in found], lines, as_json=as_json)
    talk(_summary(found))
    return max((finding.exit_code for finding in found), default=0)


def _lines(finding: "Finding") -> Iterator[str]:
    level = click.style(f"{finding.level:<9}", fg=_COLOURS[finding.level])
    yield f"{level}{finding.check:<16}{harmless(finding.text)}"
    if finding.advice:
        yield f"{'':<25}-> {harmless(finding.advice)}"


def _document(finding: "Finding") -> dict[str, str | None]:
    return {
        "check": finding.check,
        "level": str(finding.level),
        "text": finding.text,
        "advice": finding.advice,
    }


def _summary(found: "list[Finding]") -> str:
    number = Counter(finding.level for finding in found)
    failures, warnings, fine = (number[level] for level in ("failure", "warning", "ok"))  # type: ignore[index]
    if not failures and not warnings:
        return f"All is well: {fine} looks."
    return f"{_many(failures, 'failure')}, {_many(warnings, 'warning')}, {fine} ok."


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

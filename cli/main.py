"""The command `asyncworker`: its verbs, and how everything that goes wrong comes out."""

import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, NoReturn, cast

import click

from cli.failures import report
from cli.options import places
from cli.streams import watch_streams

NAME = "asyncworker"

VERBS = tuple(
    "serve submit status list cancel retry wait logs prune backup types check doctor unit version"
    " completion".split()
)
"""In the order of use, not of the alphabet."""

_USAGE = 2


class _Modules(Mapping[str, click.Command]):
    """Verbs by name, each imported when it is looked up: one in sixteen is needed."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in VERBS:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"cli.{name}"), "list_" if name == "list" else name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class Verbs(click.Group):
    """A mistyped verb is answered with the nearest."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.commands = cast("MutableMapping[str, click.Command]", _Modules())  # nobody adds to it

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches  # noqa: PLC0415  (for a mistake only)

            nearest = get_close_matches(name, self.commands, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else "."
            raise click.UsageError(f"there is no verb {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(NAME, cls=Verbs, invoke_without_command=True)
@places
@click.pass_context
def asyncworker(context: click.Context, /, **_: str | None) -> int | None:
    """Run jobs, each in a process of its own.

    Every option of every verb can be given as ASYNCWORKER_<OPTION> in the environment, too.
    """
    if context.invoked_subcommand is not None:
        return None
    click.echo(context.get_help(), err=True)
    return _USAGE


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and give its exit code; nothing that goes wrong comes out as an exception.

    But a pipe that nobody reads any more, as of `| head`, ends the process: click sees to it, quietly.
    """
    try:
        code = asyncworker.main(arguments, prog_name=NAME, standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the last place that can say it in a sentence
        return report(error)
    return code or 0


def main() -> NoReturn:
    """Run the command that was typed, and leave with its exit code."""
    watch_streams()
    sys.exit(run())

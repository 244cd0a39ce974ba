"""How a verb is declared: its options, each also an environment variable, and the places every verb takes."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from supervisor.settings import Locations

F = TypeVar("F", bound=Callable[..., Any])

_PLACES = ("state_dir", "config", "database")


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """An option `--some-thing` that can be given as ASYNCWORKER_SOME_THING too."""
    long = next(name for name in names if name.startswith("--"))
    variable = "ASYNCWORKER_" + long.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=variable, show_envvar=True, **settings)


def places(command: F) -> F:
    """The options that stand before the verb or after it."""
    for add in (
        option("--database", metavar="URL", help="The database: an SQLAlchemy URL, or a path."),
        option("--config", metavar="FILE", help="The job types; by default ./jobtypes.yaml."),
        option("--state-dir", metavar="FOLDER", help="Where the database and the logs are."),
    ):
        command = add(command)
    return command


def verb(
    name: str, context_settings: dict[str, Any] | None = None
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a function a command; it is called with `at`, the Locations, and its own options.

    What it returns is the exit code, None is 0. An option that was not declared with `option` is refused.
    """

    def declare(function: Callable[..., int | None]) -> click.Command:
        @click.pass_context
        @functools.wraps(function)
        def located(context: click.Context, /, **given: Any) -> int | None:
            state_dir, config, database = (_nearest(context, place, given.pop(place)) for place in _PLACES)
            return function(at=Locations.resolve(state_dir, config, database), **given)

        command = click.command(name, context_settings=context_settings)(places(located))
        command.params.sort(key=lambda parameter: parameter.name in _PLACES)
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.envvar:
                raise TypeError(f"declare {parameter.opts[0]} of {name} with cli.options.option")
        return command

    return declare


def _nearest(context: click.Context, place: str, value: str | None) -> str | None:
    """What was typed wins over the environment, wherever it stands: after the verb, then before it."""
    if context.get_parameter_source(place) is click.core.ParameterSource.COMMANDLINE:
        return value
    before = context.parent
    if before and before.get_parameter_source(place) is click.core.ParameterSource.COMMANDLINE:
        typed: str | None = before.params[place]
        return typed
    return value


json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


def duration(written: str) -> float:
    """Type of an option: seconds, or such as 250ms, 10s, 5m, 1h."""
    from supervisor.units import duration as seconds  # noqa: PLC0415  (only where a duration is given)

    return _read(written, seconds)


def period(written: str) -> float:
    """Type of an option: a duration, or `forever`, which is infinity."""
    from supervisor.units import period as seconds  # noqa: PLC0415  (only where one is given)

    return _read(written, seconds)


def _read(written: str, seconds: Callable[[str], float]) -> float:
    try:
        return seconds(written)
    except ValueError as error:
        raise click.BadParameter(f"{written!r} {error}.") from error


def keep_options(command: F) -> F:
    """How long ended jobs are kept."""
    for status, default in (("cancelled", "7d"), ("failed", "30d"), ("completed", "7d")):
        command = option(
            f"--keep-{status}",
            type=period,
            metavar="DURATION",
            default=default,
            show_default=True,
            help=f"How long {status.title()} jobs are kept, with attempts and logs; or: forever.",
        )(command)
    return command

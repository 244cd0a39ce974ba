"""asyncworker unit: a systemd unit for this installation, to look at and to install."""

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import option, verb
from cli.output import say, talk
from cli.serve import serve
from cli.unitfile import Installation, unit_file
from supervisor.settings import Locations
from supervisor.units import spoken

if TYPE_CHECKING:
    from supervisor.jobtypes.records import JobTypes

_GIVEN = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
_DRAIN = 30.0


@verb("unit", context_settings={"ignore_unknown_options": True})
@option("--user-manager", is_flag=True, help="For systemctl --user, without root.")
@click.argument("serve_options", metavar="[OPTION OF SERVE]...", nargs=-1, type=click.UNPROCESSED)
def unit(at: Locations, serve_options: tuple[str, ...], *, user_manager: bool) -> None:
    """Print a systemd unit for this installation.

    What follows are options for `serve`: asyncworker unit --drain-timeout 5m
    """
    from supervisor.jobtypes.load import load  # noqa: PLC0415  (YAML, for this verb only)

    configured = load(at.config)
    serving = serve.make_context("serve", [*serve_options])
    root = os.geteuid() == 0
    own_state = user_manager or at.state_dir != Locations.resolve(environ=_elsewhere()).state_dir
    it = Installation(
        command=(_program(), "serve", *_places(at, own_state=own_state), *_options(serving)),
        drain=serving.params["drain_timeout"] or _DRAIN,
        grace=max((each.grace for each in configured.types.values()), default=0.0),
        user=None if root or user_manager else pwd.getpwuid(os.geteuid()).pw_name,
        for_system=not user_manager,
        own_state=own_state,
        needs_root=any(each.run_as for each in configured.types.values()),
        reads=tuple(read_by(at, configured, serving.params["token_file"])),
        writes=tuple(dict.fromkeys(_written(at, configured, own_state=own_state))),
    )
    say(unit_file(it).rstrip("\n"))
    talk(_what_to_do(user_manager=user_manager))


def _program() -> str:
    """The command in the environment of the interpreter that runs now."""
    beside = Path(sys.executable).with_name("asyncworker")
    return str(beside if beside.exists() else Path(sys.argv[0]).absolute())


def _places(at: Locations, *, own_state: bool) -> list[str]:
    """The state folder only where systemd is not to make one: then $STATE_DIRECTORY names it."""
    state = ["--state-dir", str(at.state_dir)] if own_state else []
    database = [] if at.database == str(at.state_dir / "jobs.db") else ["--database", at.database]
    return [*state, "--config", str(at.config), *database]


def _options(serving: click.Context) -> list[str]:
    """What was given for `serve`, here or in the environment, as it is to stand in a command line."""
    words: list[str] = []
    for parameter in serving.command.params:
        name = parameter.name or ""
        value = serving.params.get(name)
        if name in ("state_dir", "config", "database") or serving.get_parameter_source(name) not in _GIVEN:
            continue
        if value is not False and value is not None:
            words += [parameter.opts[0], *([] if value is True else [_written_out(name, value)])]
    return words


def _written_out(name: str, value: Any) -> str:
    if isinstance(value, float):
        return spoken(value)
    return os.path.abspath(value) if name == "token_file" else str(value)


def read_by(at: Locations, configured: "JobTypes", token_file: str | None) -> list[Path]:
    """What service and jobs read, and what a link among that leads to."""
    ours = [Path(sys.prefix), Path(sys.base_prefix), at.config, *configured.import_paths]
    ours += [Path(token_file).absolute()] if token_file else []
    for each in configured.types.values():
        # A program with a slash is relative to the file; of arguments only an absolute one is surely a path.
        program, *arguments = each.command or ("",)
        ours += [at.config.parent / program] if "/" in program else []
        ours += [Path(word) for word in arguments if word.startswith("/")]
        ours += each.sandbox.read_only if isinstance(each.sandbox.read_only, tuple) else ()
    named = [os.path.normpath(path) for path in ours]
    return [Path(path) for path in dict.fromkeys([*named, *map(os.path.realpath, ours)])]


def _written(at: Locations, configured: "JobTypes", *, own_state: bool) -> list[Path]:
    """Where service and jobs write, beside what systemd makes."""
    from supervisor.store.dbfile import path_of  # noqa: PLC0415  (SQLAlchemy, for this verb only)

    database = path_of(at.database).parent
    ours = [at.state_dir] if own_state else []
    if not database.is_relative_to(os.path.realpath(at.state_dir)):
        ours.append(database)
    for each in configured.types.values():
        ours += [each.working_directory] if each.working_directory else []
        ours += each.sandbox.writable
    return ours


def _elsewhere() -> dict[str, str]:
    """The environment without what names a state folder."""
    names = ("ASYNCWORKER_STATE_DIR", "STATE_DIRECTORY")
    return {name: value for name, value in os.environ.items() if name not in names}


def _what_to_do(*, user_manager: bool) -> str:
    folder, control = (
        ("~/.config/systemd/user", "systemctl --user")
        if user_manager
        else ("/etc/systemd/system", "systemctl")
    )
    return (
        f"Save it as {folder}/asyncworker.service, then: "
        f"{control} daemon-reload && {control} enable --now asyncworker"
    )

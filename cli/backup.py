"""asyncworker backup: a copy of the database, made and verified while the service runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.connection import connect
from cli.interruption import Interruption
from cli.live import Screen, bar
from cli.options import json_option, option, verb
from cli.output import show, talk
from cli.wording import size
from supervisor.errors import BackupRefused
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.answers import Backup


@verb("backup")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@option("--force", is_flag=True, help="Replace FILE. The old one stays until the new one is whole.")
@json_option
def backup(at: Locations, file: Path, *, force: bool, as_json: bool) -> int:
    """Copy the database into FILE, while the service runs or without it.

    The copy is verified before it gets its name. Logs are not in it.
    """
    from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this verb only)

    if str(file) == "-":
        raise BackupRefused("a backup is verified before it gets its name: give a file, not standard output")
    screen = Screen()
    with connect(at) as client, Interruption() as interruption:
        try:
            made = client.backup(
                file, replace=force, on_progress=lambda done, of: screen.draw([_progress(done, of)])
            )
        except KeyboardInterrupt:
            screen.clear()
            talk("Stopped.")
            return interruption.code
        finally:
            screen.clear()
    show(representation.backup(made), lambda: [_sentence(made)], as_json=as_json)
    return 0


def _progress(done: int, of: int) -> str:
    return (
        f"  {bar(done / of if of else 1.0)} {size(done)} of {size(of)}{', verifying' if done == of else ''}"
    )


def _sentence(made: "Backup") -> str:
    jobs = sum(made.jobs.values())
    return f"Backed up {jobs} job{'' if jobs == 1 else 's'} to {made.file} ({size(made.bytes)}), verified."

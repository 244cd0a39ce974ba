"""asyncworker completion: a script for the shell."""

import click
from click.shell_completion import get_completion_class

from cli.options import verb
from cli.output import say
from supervisor.settings import Locations


@verb("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, at: Locations, shell: str) -> None:  # noqa: ARG001  (every verb takes the places)
    """Print a script that completes verbs and options in SHELL.

    \b
    bash:  eval "$(asyncworker completion bash)"      in ~/.bashrc
    zsh:   eval "$(asyncworker completion zsh)"       in ~/.zshrc
    fish:  asyncworker completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301  (click wants the character, not the letters)
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"{shell} is not supported.")
    say(made(context.find_root().command, {}, "asyncworker", "_ASYNCWORKER_COMPLETE").source())

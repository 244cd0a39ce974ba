"""What is refused of the http server's settings before anything is started."""

import os
from pathlib import Path

import pytest

from supervisor import http_settings
from supervisor.errors import InvalidConfiguration


def check(address: str = "127.0.0.1:0", token_file: Path | str = "") -> None:
    http_settings.check({"ASYNCWORKER_HTTP": address, "ASYNCWORKER_TOKEN_FILE": str(token_file)})


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("address", ["127.0.0.1:5000", "[::1]:5000", "localhost:0", "127.8.9.10:80", ""])
def test_what_only_this_machine_reaches_needs_no_token(address: str) -> None:
    check(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000", "[::ffff:192.0.2.1]:5000"]
)
def test_what_others_reach_needs_one(address: str, token: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="needs a token: --token-file FILE"):
        check(address)
    check(address, token)


@pytest.mark.parametrize("address", ["5000", ":5000", "localhost:", "::1:5000", "a:70000", "http://a:1"])
def test_what_is_no_address_is_refused_with_a_token_too(address: str, token: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"is not HOST:PORT"):
        check(address, token)


def test_a_name_that_nobody_knows_is_left_to_the_server_because_that_may_change() -> None:
    check("no-such-host.invalid:5000")


@pytest.mark.parametrize("content", ["", " \n", "two words", "\x00", "é"])
def test_a_token_file_without_a_token_is_refused_on_loopback_too(token: Path, content: str) -> None:
    token.write_text(content)
    with pytest.raises(InvalidConfiguration, match="must hold one word"):
        check(token_file=token)


def test_a_token_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="No such file"):
        check(token_file=tmp_path / "none")
    with pytest.raises(InvalidConfiguration, match="Is a directory"):
        check(token_file=tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InvalidConfiguration, match="symbolic links"):
        check(token_file=tmp_path / "loop")


def test_a_named_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidConfiguration, match="must hold one word"):
        check(token_file=tmp_path / "pipe")


def test_the_token_is_shown_nowhere(token: Path) -> None:
    settings = http_settings.HttpSettings.from_environment(
        lambda _: None, {"ASYNCWORKER_TOKEN_FILE": str(token)}
    )
    assert settings.token == "secret"
    assert "secret" not in repr(settings)

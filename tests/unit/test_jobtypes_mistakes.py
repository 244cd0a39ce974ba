"""Each mistake in jobtypes.yaml: in one key, in YAML itself, or in the file on disk."""

import contextlib
import os
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.errors import InvalidConfiguration
from supervisor.jobtypes.keys import JOB_TYPE, LIMITS, RETRIES, SANDBOX
from supervisor.jobtypes.load import load
from supervisor.jobtypes.parse import InvalidJobTypes, JobTypes, parse_job_types

GOOD = "job_types: {J: {handler: 'a:b', max_concurrency: 1}}\n"


def parsed(text: str) -> JobTypes:
    return parse_job_types(text, Path("/srv/app/jobtypes.yaml"), shown_as="f")


def mistakes(text: str) -> list[str]:
    """What is wrong with a text, each as `LINE: PATH: what`."""
    with pytest.raises(InvalidJobTypes) as caught:
        parsed(text)
    return [line.removeprefix("f:") for line in str(caught.value).split("\n")]


def mistake(keys: str) -> str:
    """The one mistake in these keys of a job type, as `PATH: what`."""
    needed = "" if "max_concurrency" in keys else "max_concurrency: 1, "
    needed += "" if "handler" in keys or "command" in keys else "handler: 'a:b', "
    (found,) = mistakes(f"job_types: {{J: {{{needed}{keys}}}}}\n")
    return found.removeprefix("1: job_types.J.")


# One key


@pytest.mark.parametrize(
    "keys,wrong",
    [
        ("handler: workers", "handler: must be package.module:function, but this is workers"),
        ("handler: 'a:b:c'", "handler: must be package.module:function, but this is a:b:c"),
        ("handler: 'a.:b'", "handler: must be package.module:function, but this is a.:b"),
        ("handler: 'a:class'", "handler: must be package.module:function, but this is a:class"),
        ("command: []", "command: must name a program: [program, arg, ...]"),
        (
            "command: echo 'a b' c",
            'command: must be a list, because no shell splits it; write ["echo", "a b", "c"]',
        ),
        ("command: 'it''s'", 'command: must be a list, because no shell splits it; write ["it\'s"]'),
        ("command: [sleep, 5]", 'command[1]: must be a string, but 5 is a number; quote it: "5"'),
        ("command: ['', a]", "command[0]: must name a program, but this is empty"),
        ("command: [a, ~]", "command[1]: must be a string, but there is nothing"),
        ('command: ["a\\0b"]', "command[0]: must not hold a NUL character"),
        ("max_concurrency: 0", "max_concurrency: must be from 1 to 10000, but this is 0"),
        ("max_concurrency: 10001", "max_concurrency: must be from 1 to 10000, but this is 10001"),
        (
            "max_concurrency: true",
            "max_concurrency: must be a whole number, but YAML reads true as a boolean",
        ),
        (
            "max_concurrency: 1_0",
            "max_concurrency: must be a whole number, but YAML reads 1_0 as a number with underscores",
        ),
        ("max_concurrency: '3'", 'max_concurrency: must be a whole number, but this is "3"'),
        (
            "max_concurrency: 2.0",
            "max_concurrency: must be a whole number, but 2.0 is a number",
        ),
        (
            "max_concurrency: ",
            "max_concurrency: must be a whole number, but there is nothing",
        ),
        (
            "description: off",
            'description: must be a string, but YAML reads off as a boolean; quote it: "off"',
        ),
        ("description: 12", 'description: must be a string, but 12 is a number; quote it: "12"'),
        ("description: [a]", "description: must be a string, but this is a list"),
        ("options: [1]", "options: must be a mapping, but this is a list"),
        (
            "options: {a: [2026-01-01]}",
            'options.a[0]: YAML reads 2026-01-01 as a date; quote it: "2026-01-01"',
        ),
        ("options: {a: .nan}", 'options.a: .nan is no number in JSON; quote it: ".nan"'),
        ("options: {a: 1e999}", 'options.a: 1e999 is no number in JSON; quote it: "1e999"'),
        (
            "options: {country: no}",
            'options.country: YAML reads no as a boolean; write true or false, or quote it: "no"',
        ),
        (
            "options: {m: 0644}",
            'options.m: YAML reads 0644 as an octal number; write it in decimal digits, or quote it: "0644"',
        ),
        (
            "options: {m: 0b1}",
            'options.m: YAML reads 0b1 as a binary number; write it in decimal digits, or quote it: "0b1"',
        ),
        ("options: {1: a}", 'options: the key 1 is a number to YAML; quote it: "1"'),
        ("options: {on: a}", 'options: the key on is a boolean to YAML; quote it: "on"'),
        ("options: {null: a}", 'options: the key null is nothing to YAML; quote it: "null"'),
        ("priority: 2147483648", "priority: must be from -2147483648 to 2147483647, but this is 2147483648"),
        ("timeout: 0", "timeout: must be longer than 0"),
        ("timeout: -1", "timeout: must not be negative, but this is -1"),
        (
            "grace: -1s",
            "grace: must be a duration (seconds, or such as 250ms, 10s, 5m, 1h30m, 2d), but this is -1s",
        ),
        (
            "grace: .inf",
            "grace: must be a duration (seconds, or such as 250ms, 10s, 5m, 1h30m, 2d), but this is .inf",
        ),
        ("retries: {max_attempts: 0}", "retries.max_attempts: must be from 1 to 2147483647, but this is 0"),
        ("retries: 3", "retries: must be a mapping, but 3 is a number"),
        ("retries: {max_attempt: 3}", "retries.max_attempt: unknown key, did you mean max_attempts?"),
        ("on_owner_death: ignore", 'on_owner_death: must be fail or retry, but this is "ignore"'),
        (
            "limits: {memory: 64KB}",
            "limits.memory: must be a size (bytes, or such as 64K, 10M, 2G), but this is 64KB",
        ),
        ("limits: {memory: 0}", "limits.memory: must be larger than 0"),
        ("limits: {cpu: 5}", "limits.cpu: unknown key, did you mean cpu_time?"),
        ("run_as: ", "run_as: is empty; give a user, or remove the key"),
        ("run_as: {group: g}", "run_as: needs a user"),
        ("run_as: {user: 1000}", 'run_as.user: must be a string, but 1000 is a number; quote it: "1000"'),
        (
            "working_directory: ~/x",
            "working_directory: ~ is not expanded; write the whole path instead of ~/x",
        ),
        (
            "env: {inherit: PATH}",
            'env.inherit: must be all, or a list of variable names such as [LANG, TZ], but this is "PATH"',
        ),
        (
            "env: {inherit: [LANG, all]}",
            "env.inherit[1]: all is not the name of a variable here; write inherit: all",
        ),
        (
            "env: {inherit: [A-B]}",
            "env.inherit[0]: A-B is no name for a variable: use letters, digits and _, no digit first",
        ),
        (
            "env: {set: {1A: x}}",
            "env.set.1A: 1A is no name for a variable: use letters, digits and _, no digit first",
        ),
        ("env: {set: {A: 1}}", 'env.set.A: must be a string, but 1 is a number; quote it: "1"'),
        (
            "env: {set: {A: yes}}",
            'env.set.A: must be a string, but YAML reads yes as a boolean; quote it: "yes"',
        ),
        ("env: {set: {A: }}", "env.set.A: must be a string, but there is nothing"),
        ('env: {set: {A: "x\\0"}}', "env.set.A: must not hold a NUL character"),
        (
            "env: {set: {ASYNCWORKER_A: x}}",
            "env.set.ASYNCWORKER_A: names beginning with ASYNCWORKER_ are set by AsyncWorker; choose another",
        ),
        ("nice: 20", "nice: must be from -20 to 19, but this is 20"),
        ("sandbox: {network: 0}", "sandbox.network: must be true or false, but 0 is a number"),
        ("sandbox: {private_tmp: 0}", "sandbox.private_tmp: must be larger than 0"),
        (
            "sandbox: {read_only: /etc}",
            'sandbox.read_only: must be true, false or a list of paths, but this is "/etc"',
        ),
        ("sandbox: {writable: /tmp}", 'sandbox.writable: must be a list, such as [a, b], but this is "/tmp"'),
        ("preload: maybe", 'preload: must be true or false, but this is "maybe"'),
        ("TIMEOUT: 5s", "TIMEOUT: unknown key, did you mean timeout?"),
        ("maxConcurrency: 5", "maxConcurrency: unknown key, did you mean max_concurrency?"),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_to_write(keys: str, wrong: str) -> None:
    assert mistake(keys) == wrong


def test_every_mistake_in_a_list_is_found() -> None:
    found = mistakes("job_types: {J: {command: [a, 1, b, 2], max_concurrency: 1}}\n")
    assert [line.split(":")[1] for line in found] == [" job_types.J.command[1]", " job_types.J.command[3]"]


@pytest.mark.parametrize("name", ["1st", "-a", "a b", "é", "x" * 101, "a\\n", ""])
def test_a_job_types_name_is_checked(name: str) -> None:
    (found,) = mistakes(GOOD.replace("J", f'"{name}"'))
    assert "a job type's name is 1 to 100 letters" in found


@pytest.mark.parametrize("name", ["a", "Email.Job-2_x", "x" * 100])
def test_a_good_name_is_taken(name: str) -> None:
    assert list(parsed(GOOD.replace("J", name)).types) == [name]


# The top


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "import_paths: [.]\n", "{}"])
def test_a_file_without_job_types_says_so(text: str) -> None:
    assert mistakes(text) == ["1: job_types: is missing; give at least one job type"]


@pytest.mark.parametrize("text", ["job_types:\n", "job_types: {}\n"])
def test_at_least_one_job_type_is_needed(text: str) -> None:
    assert mistakes(text) == ["1: job_types: is empty; give at least one job type"]


@pytest.mark.parametrize("text", ["[1]", "EmailJob", "42"])
def test_a_file_that_is_no_mapping_says_so(text: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith("1: must be a mapping")


def test_a_misspelt_key_at_the_top_is_reported_once() -> None:
    assert mistakes("job_type: {}\n") == ["1: job_type: unknown key, did you mean job_types?"]


def test_import_paths_are_a_list() -> None:
    assert mistakes(f"import_paths: .\n{GOOD}") == [
        '1: import_paths: must be a list, such as [a, b], but this is "."'
    ]


def test_import_paths_are_the_files_folder_by_default() -> None:
    assert parsed(GOOD).import_paths == (Path("/srv/app"),)
    assert parsed(f"import_paths: []\n{GOOD}").import_paths == ()


# YAML itself


@pytest.mark.parametrize(
    "text,wrong",
    [
        ("a:\n\tb: 1\n", "2: is not YAML: this line is indented with a tab; use spaces"),
        ("a: b: c\n", '1: is not YAML: no ": " can stand here;'),
        ("a: [1,\n", "2: is not YAML: the file ends inside a bracket or a quote; close it"),
        ('a: "1\n', "2: is not YAML: the file ends inside a bracket or a quote; close it"),
        ("a: 1\n---\nb: 2\n", "2: a second document begins here (---); keep one document in the file"),
        ("a: *b\n", "1: a: the alias *b has no anchor (&) above it"),
        ("a: &a\n - *a\n", "2: a[0]: the alias *a is part of what it stands for"),
        ('a: "\\UFFFFFFFF"\n', "1: is not YAML: an escape"),
        ("a: 1\nb: \x00\n", "2: is not text: it holds '\\x00'; remove this character"),
        ("a: \ud800\n", "1: is not text: it holds '\\ud800'; remove this character"),
        ("\n" + "[" * 100_000, "2: " + "[0]" * 41 + ": more than 40 levels of nesting; flatten it"),
        ("? " * 5_000, "1: more than 40 levels of nesting; flatten it"),
    ],
)
def test_broken_yaml_is_one_mistake_that_says_what_to_do(text: str, wrong: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(wrong)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
@pytest.mark.parametrize(
    "wrong, line", [("job_type: 1", 3), ("a: \x00", 3), ("a: *b", 3), ("a: [", 4), ('a: "\\UFFFFFFFF"', 3)]
)
def test_a_mistake_is_on_the_line_that_an_editor_shows(end: str, wrong: str, line: int) -> None:
    text = f"{GOOD}# one\x85# two\u2028# three\u2029# four\n{wrong}\n"
    (found,) = mistakes(text.replace("\n", end))
    assert found.startswith(f"{line}: ")


def test_no_tag_is_obeyed(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    text = f"{GOOD}defaults: {{options: !!python/object/apply:os.system ['touch {trap}']}}\n"
    assert mistakes(text)[0] == (
        "2: defaults.options: the tag !!python/object/apply:os.system has no meaning here; remove it"
    )
    assert not trap.exists()


def test_the_string_tag_quotes() -> None:
    assert parsed(GOOD.replace("}}", ", description: !!str 12}}")).types["J"].description == "12"


def test_half_a_surrogate_pair_is_refused() -> None:
    assert "half of a surrogate pair" in mistake(r'description: "\ud800"')


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (found,) = mistakes("\n".join(lines))
    assert "the aliases so far stand for more than 50000 values; use fewer" in found


def test_nesting_by_aliases_is_counted() -> None:
    lines = ["a0: &a0 x"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)]
    (found,) = mistakes("\n".join(lines))
    assert found.endswith("more than 40 levels of nesting; flatten it")


def test_an_alias_is_what_it_stands_for() -> None:
    job_types = parsed("job_types:\n  A: &a {handler: 'a:b', max_concurrency: 1}\n  B: *a\n")
    assert job_types.types["B"].handler == "a:b"


def test_a_merge_brings_in_what_is_not_given() -> None:
    job_types = parsed(
        "job_types:\n"
        "  A: &a {handler: 'a:a', max_concurrency: 1, nice: 1}\n"
        "  B: &b {<<: *a, handler: 'b:b'}\n"
        "  C: {<<: [*b, *a], nice: 3}\n"
    )
    facts = [(one.handler, one.max_concurrency, one.nice) for one in job_types.types.values()]
    assert facts == [("a:a", 1, 1), ("b:b", 1, 1), ("b:b", 1, 3)]


def test_a_merge_of_something_else_is_a_mistake() -> None:
    assert mistake("<<: [1]") == "<<: must be a mapping or a list of mappings, such as *an_alias"


def test_a_key_with_line_breaks_stays_in_one_line() -> None:
    (found,) = mistakes(f'{GOOD}"a\\nb": 1\n')
    assert found.startswith(r"2: 'a\nb': unknown key")


# The file on disk


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidJobTypes, match=r"^There is no file .*; create it, or name another with --config\.$"
    ):
        load(tmp_path / "jobtypes.yaml")


def test_what_is_not_utf_8_is_on_the_line_that_an_editor_shows(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a: 1\r\nb: 1\rc: \xe2\x80\xa8\xff\n")
    with pytest.raises(InvalidJobTypes, match=r"f:3: is not UTF-8 text"):
        load(tmp_path / "f")


def test_a_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidJobTypes, match=r"is a folder; name the file in it with --config .*/jobtypes\.yaml"
    ):
        load(tmp_path)


def test_a_file_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidJobTypes, match="There is no file"):
        load(tmp_path / "file" / "jobtypes.yaml")


def test_an_unreadable_file_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:  # because root, who may run this, reads everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidJobTypes, match="may not be read by this user; change its mode"):
        load(Path("jobtypes.yaml"))


@pytest.mark.parametrize("path", ["a\0b", "x" * 300])
def test_a_path_that_no_file_can_have_is_refused_too(path: str) -> None:
    with pytest.raises(InvalidJobTypes, match=r"cannot be read .*; name another file with --config"):
        load(Path(path))


def test_a_file_that_is_not_utf_8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "jobtypes.yaml"
    file.write_bytes("# fine\n# café\n".encode("latin-1"))
    with pytest.raises(InvalidJobTypes) as caught:
        load(file)
    assert str(caught.value) == f"{file}:2: is not UTF-8 text; save the file in UTF-8"
    assert len(caught.value.problems) == 1


def test_a_file_over_1_mib_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "jobtypes.yaml"
    file.write_text(GOOD + "#" * (2**20 - len(GOOD)))
    assert "J" in load(file).types
    file.write_text(GOOD + "#" * (2**20 - len(GOOD) + 1))
    with pytest.raises(InvalidJobTypes, match="is larger than 1 MiB"):
        load(file)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "jobtypes.yaml"
    file.write_text(GOOD, encoding="utf-8-sig")
    assert "J" in load(file).types


def test_paths_start_at_the_files_folder_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "jobtypes.yaml").write_text(f"import_paths: [., ../lib]\n{GOOD}")
    monkeypatch.chdir(tmp_path)
    job_types = load(Path("conf/jobtypes.yaml"))
    assert job_types.source == tmp_path / "conf" / "jobtypes.yaml"
    assert job_types.import_paths == (tmp_path / "conf", tmp_path / "lib")


def test_messages_name_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobtypes.yaml").write_text("job_types: {}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidJobTypes, match=r"^jobtypes\.yaml:1: job_types: is empty"):
        load(Path("jobtypes.yaml"))


# Anything at all

SCALARS = st.sampled_from(
    ["1", "-1", "no", "~", "1:30", "1h", "64K", "2026-01-01", "0x1F", "1_0", ".nan", "1e999", "'q'",
     '"\\ud800"', "a:b", "''", "&a 1", "*a", "!!set {}", "!x y", "<<", "|", "- a", "[", "}", "\t"]
)  # fmt: skip
KEYS = st.sampled_from(
    [*JOB_TYPE, *RETRIES, *LIMITS, *SANDBOX, "set", "job_types", "defaults", "J", "<<", "1", "? [a]"]
)
FLOW = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
)
YAMLISH = st.text(st.sampled_from("ab:- \n\t[]{},&*!%|>'\"#?@`~<=\\0x19._"), max_size=60)


def raises_nothing_else(text: str) -> None:
    refused: InvalidConfiguration | None = None
    try:
        assert parsed(text).types
    except InvalidConfiguration as error:
        refused = error
    if refused is not None:
        assert isinstance(refused, InvalidJobTypes)
        assert len(str(refused).splitlines()) == len(refused.problems) > 0
        assert all(1 <= problem.line <= len(text.splitlines()) + 1 for problem in refused.problems)


@given(st.one_of(st.text(), YAMLISH, st.text(st.characters())))
def test_any_text_is_job_types_or_invalid_configuration(text: str) -> None:
    raises_nothing_else(text)


@given(FLOW, FLOW)
def test_any_yaml_is_job_types_or_invalid_configuration(defaults: str, job_type: str) -> None:
    raises_nothing_else(f"defaults: {defaults}\njob_types:\n  J: {job_type}\n")


@given(
    st.dictionaries(st.sampled_from(list(JOB_TYPE)), FLOW),
    st.dictionaries(st.sampled_from(list(JOB_TYPE)), FLOW),
)
def test_any_value_of_any_key_is_taken_or_a_mistake(defaults: dict[str, str], keys: dict[str, str]) -> None:
    layers = [
        "{" + ", ".join(f"{key}: {value}" for key, value in layer.items()) + "}" for layer in (defaults, keys)
    ]
    raises_nothing_else(f"defaults: {layers[0]}\njob_types:\n  J: {layers[1]}\n")


@given(st.binary(max_size=200))
def test_any_bytes_on_disk_are_job_types_or_invalid_configuration(content: bytes) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, content)
    os.close(write_end)
    try:
        with contextlib.suppress(InvalidConfiguration):
            load(Path(f"/dev/fd/{read_end}"))
    finally:
        os.close(read_end)

"""supervisor.jobtypes: from the text of jobtypes.yaml to job types, or every mistake at once."""

import dataclasses
import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from supervisor.errors import InvalidConfiguration
from supervisor.jobtypes.keys import ENV, JOB_TYPE, LIMITS, RETRIES, RUN_AS, SANDBOX
from supervisor.jobtypes.load import load
from supervisor.jobtypes.parse import (
    Env,
    InvalidJobTypes,
    JobType,
    JobTypes,
    Limits,
    Retries,
    RunAs,
    Sandbox,
    parse_job_types,
)
from supervisor.units import DURATION

SOURCE = Path("/srv/app/jobtypes.yaml")
ROOT = Path(__file__).resolve().parents[2]


def parsed(text: str) -> JobTypes:
    return parse_job_types(dedent(text), SOURCE, shown_as="jobtypes.yaml")


def one(keys: str, defaults: str = "") -> JobType:
    """The job type J with these keys in flow style; handler and max_concurrency are there already."""
    return parsed(whole(keys, defaults)).types["J"]


def whole(keys: str, defaults: str = "") -> str:
    return f"defaults: {{{defaults}}}\njob_types:\n  J: {{handler: 'a:b', max_concurrency: 1, {keys}}}\n"


def mistakes(text: str) -> list[str]:
    """What is wrong with a text, each as `LINE: PATH: what`."""
    with pytest.raises(InvalidJobTypes) as caught:
        parsed(text)
    lines = str(caught.value).split("\n")
    assert lines == [str(problem) for problem in caught.value.problems]
    assert all(line.startswith("jobtypes.yaml:") for line in lines)
    return [line.removeprefix("jobtypes.yaml:") for line in lines]


def mistake(keys: str, defaults: str = "") -> str:
    """The one mistake in these keys of J, without its place."""
    (found,) = mistakes(whole(keys, defaults))
    return found.removeprefix("3: job_types.J.")


# The file as a whole


def test_the_file_that_is_shipped_is_the_one_of_the_interface() -> None:
    job_types = load(ROOT / "jobtypes.yaml")
    facts = {
        name: (one.handler, one.max_concurrency, one.options, one.timeout)
        for name, one in job_types.types.items()
    }
    assert facts == {
        "EmailJob": ("workers.samples:send_email", 3, {"delay_milliseconds": 5000}, 3600.0),
        "DataProcessJob": ("workers.samples:process_data", 5, {"delay_milliseconds": 10000}, 3600.0),
        "ReportJob": ("workers.samples:render_report", 2, {"delay_milliseconds": 15000}, 3600.0),
    }
    assert list(facts) == ["EmailJob", "DataProcessJob", "ReportJob"]
    assert job_types.import_paths == (ROOT,)
    assert all(one.description for one in job_types.types.values())


def test_seven_mistakes_are_seven_lines_in_order() -> None:
    text = """\
    import_paths: [.]
    defaults:
      timeout: 1:30
    job_types:
      EmailJob:
        handler: workers.send_email
        max_concurent: 3
        env:
          set: {A: no}
      ReportJob:
        command: render -f
        max_concurrency: 2
        max_concurrency: 3
        options: {since: 2026-01-01}
    """
    assert mistakes(text) == [
        f"3: defaults.timeout: must be {DURATION}, but YAML reads 1:30 as a number in base 60",
        (
            "6: job_types.EmailJob.handler: must be package.module:function, but this is workers.send_email, "
            "did you mean workers:send_email?"
        ),
        "7: job_types.EmailJob.max_concurent: unknown key, did you mean max_concurrency?",
        '9: job_types.EmailJob.env.set.A: must be a string, but YAML reads no as a boolean; quote it: "no"',
        '11: job_types.ReportJob.command: must be a list, because no shell splits it; write ["render", "-f"]',
        "13: job_types.ReportJob.max_concurrency: given twice, first on line 12; keep one",
        '14: job_types.ReportJob.options.since: YAML reads 2026-01-01 as a date; quote it: "2026-01-01"',
    ]


def test_a_file_with_mistakes_is_refused_as_invalid_configuration_with_its_problems() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parsed("job_types:\n  J: {handler: 'a:b', max_concurent: 1}\n")
    assert isinstance(caught.value, InvalidJobTypes)
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == ("jobtypes.yaml", 2, "job_types.J.max_concurent")
    assert problem.what == "unknown key, did you mean max_concurrency?"


def test_what_is_not_given_has_the_defaults_of_the_interface() -> None:
    assert one("") == JobType(
        name="J",
        handler="a:b",
        command=None,
        max_concurrency=1,
        description=None,
        options={},
        priority=0,
        timeout=None,
        grace=10.0,
        retries=Retries(max_attempts=1, backoff="exponential", initial=1.0, max=3600.0, jitter=True),
        on_owner_death="fail",
        max_crashes=3,
        limits=Limits(output=10_485_760),
        run_as=None,
        working_directory=None,
        env=Env(inherit=(), set={}),
        nice=0,
        sandbox=Sandbox(
            network=True, private_tmp=False, read_only=False, writable=(), no_new_privileges=True
        ),
        preload=True,
    )


def test_every_key_is_read() -> None:
    job_types = parsed("""\
    import_paths: [., ../lib, /opt/code]
    job_types:
      Render.Job-2_x:
        command: [render, --fast]
        max_concurrency: 10000
        description: >
          Renders
          reports
        options: {a: [1, 2.5, "x", null, true], "b": {c: 1e3}}
        priority: -5
        timeout: 1h30m
        grace: 0
        retries: {max_attempts: 3, backoff: fixed, initial: 250ms, max: null, jitter: off}
        on_owner_death: retry
        max_crashes: 1
        limits: {memory: 1G, cpu_time: 2m, processes: 5, open_files: 64, file_size: 10m, output: 0}
        run_as: {user: www-data, group: adm}
        working_directory: work
        env: {inherit: [LANG], set: {PORT: "80", EMPTY: ""}}
        nice: -20
        sandbox: {network: no, private_tmp: 64M, read_only: [/etc], writable: [out], no_new_privileges: false}
        preload: false
    """)
    assert job_types.source == SOURCE
    assert job_types.import_paths == (Path("/srv/app"), Path("/srv/lib"), Path("/opt/code"))
    assert job_types.types["Render.Job-2_x"] == JobType(
        name="Render.Job-2_x",
        command=("render", "--fast"),
        max_concurrency=10000,
        description="Renders reports",
        options={"a": [1, 2.5, "x", None, True], "b": {"c": 1000.0}},
        priority=-5,
        timeout=5400.0,
        grace=0.0,
        retries=Retries(3, "fixed", 0.25, None, jitter=False),
        on_owner_death="retry",
        max_crashes=1,
        limits=Limits(2**30, 120.0, 5, 64, 10 * 2**20, 0),
        run_as=RunAs("www-data", "adm"),
        working_directory=Path("/srv/app/work"),
        env=Env(inherit=("LANG",), set={"PORT": "80", "EMPTY": ""}),
        nice=-20,
        sandbox=Sandbox(
            network=False,
            private_tmp=64 * 2**20,
            read_only=(Path("/etc"),),
            writable=(Path("/srv/app/out"),),
            no_new_privileges=False,
        ),
        preload=False,
    )


@pytest.mark.parametrize(
    "keys,record",
    [
        (JOB_TYPE, JobType),
        (RETRIES, Retries),
        (LIMITS, Limits),
        (RUN_AS, RunAs),
        (ENV, Env),
        (SANDBOX, Sandbox),
    ],
)
def test_every_key_is_a_field_and_every_field_a_key(keys: dict[str, object], record: Any) -> None:
    fields = {field.name for field in dataclasses.fields(record)}
    assert set(keys) == fields - {"name"}


def test_the_types_are_read_only() -> None:
    with pytest.raises(TypeError):
        parsed(whole("")).types["J"] = one("")  # type: ignore[index]


def test_options_can_be_written_as_json() -> None:
    options = one("options: {a: [1, {b: null}], c: &x {d: text}, e: *x}").options
    assert json.loads(json.dumps(options)) == {"a": [1, {"b": None}], "c": {"d": "text"}, "e": {"d": "text"}}


# Defaults


def test_a_types_own_value_wins_over_the_defaults() -> None:
    job_type = one("timeout: 5s, nice: 1", defaults="timeout: 1h, grace: 3s, nice: 5")
    assert (job_type.timeout, job_type.grace, job_type.nice) == (5.0, 3.0, 1)


def test_null_takes_a_default_back() -> None:
    assert one("timeout: null", defaults="timeout: 1h").timeout is None


def test_mappings_are_merged_one_level_deep() -> None:
    job_type = one(
        "limits: {memory: 1G}, options: {b: {y: 2}}, env: {set: {B: b}}, retries: {max: 5s},"
        " run_as: {group: g}",
        "limits: {memory: 5G, processes: 9}, options: {a: 1, b: {x: 1}}, env: {inherit: all, set: {A: a}},"
        " retries: {max_attempts: 4}, run_as: {user: u}",
    )
    assert job_type.limits == Limits(memory=2**30, processes=9)
    assert job_type.options == {"a": 1, "b": {"y": 2}}
    assert job_type.env == Env(inherit="all", set={"B": "b"})
    assert job_type.retries == Retries(max_attempts=4, max=5.0)
    assert job_type.run_as == RunAs("u", "g")


def test_an_empty_mapping_takes_nothing_of_the_defaults_away() -> None:
    assert one("limits: ", defaults="limits: {memory: 1G}").limits.memory == 2**30


def test_required_keys_may_come_from_the_defaults() -> None:
    job_type = parsed("defaults: {handler: 'a:b', max_concurrency: 2}\njob_types: {J: }\n").types["J"]
    assert (job_type.handler, job_type.max_concurrency) == ("a:b", 2)


@pytest.mark.parametrize(
    "defaults,wrong",
    [
        ("grace: soon", "grace: must be a duration"),
        ("colour: red", "colour: unknown key; known here: handler, command,"),
        ("handler: 'a:b', command: [x]", " handler and command are both given; keep one"),
        (
            "retries: {initial: 2h}",
            "retries: initial (7200 seconds) is longer than max (3600 seconds); raise max",
        ),
        ("run_as: {group: g}", "run_as: needs a user"),
    ],
)
def test_a_mistake_in_the_defaults_is_reported_once_at_its_own_line(defaults: str, wrong: str) -> None:
    types = "{A: {max_concurrency: 1}, B: {max_concurrency: 2}}"
    handler = "" if "handler" in defaults else "handler: 'a:b', "
    (found,) = mistakes(f"job_types: {types}\ndefaults: {{{handler}{defaults}}}\n")
    assert found.startswith(f"2: defaults{':' if wrong.startswith(' ') else '.'}{wrong}")


@pytest.mark.parametrize("broken", ["defaults: [1]", "defalts: {handler: 'a:b', max_concurrency: 1}"])
def test_unreadable_defaults_leave_nothing_missing_in_the_types(broken: str) -> None:
    assert len(mistakes(f"{broken}\njob_types: {{A: {{}}, B: {{}}}}\n")) == 1


# Between keys


def test_arguments_of_a_command_may_be_empty() -> None:
    job_types = parsed("""job_types: {J: {command: [grep, "", 'file', ''], max_concurrency: 1}}""")
    assert job_types.types["J"].command == ("grep", "", "file", "")


def test_a_type_needs_a_handler_or_a_command_and_a_number_of_children() -> None:
    assert mistakes("job_types:\n  A:\n  B: {}\n") == [
        "2: job_types.A: needs exactly one of handler and command",
        "2: job_types.A.max_concurrency: is required: how many jobs of this type may run at a time",
        "3: job_types.B: needs exactly one of handler and command",
        "3: job_types.B.max_concurrency: is required: how many jobs of this type may run at a time",
    ]


def test_a_misread_or_misspelt_key_is_not_missing_as_well() -> None:
    text = "job_types:\n  A: {handlr: 'a:b', max_concurrency: 0}\n"
    assert [line.split(":")[1] for line in mistakes(text)] == [
        " job_types.A.handlr",
        " job_types.A.max_concurrency",
    ]


def test_handler_and_command_exclude_each_other() -> None:
    (found,) = mistakes(whole("command: [x]"))
    assert found == "3: job_types.J: handler and command are both given; keep one"


def test_handler_and_command_exclude_each_other_across_the_defaults() -> None:
    (found,) = mistakes(whole("", defaults="command: [x]"))
    assert found == (
        "3: job_types.J: handler stands here and command in defaults (line 1); "
        "keep one, or write command: null here"
    )
    assert one("command: null", defaults="command: [x]").command is None


def test_the_first_wait_is_not_longer_than_the_longest() -> None:
    assert mistake("retries: {initial: 10s}", "retries: {max: 5s}").startswith(
        "retries: initial (10 seconds)"
    )
    assert one("retries: {initial: 2h, max: null}").retries.initial == 7200.0


def test_an_unreadable_wait_is_not_compared() -> None:
    assert mistake("retries: {initial: soon, max: 500ms}").startswith("retries.initial: must be a duration")


# Preload and sandbox


@pytest.mark.parametrize(
    "keys,preload",
    [
        ("", True),
        ("preload: false", False),
        ("handler: null, command: [x]", False),
        ("sandbox: {network: false}", False),
        ("sandbox: {network: false}, preload: true", False),
        ("run_as: {user: u}", False),
        ("run_as: {user: u}, preload: true", False),
        ("sandbox: {no_new_privileges: false}", True),
    ],
)
def test_preload_is_off_for_commands_sandboxes_and_other_users(keys: str, *, preload: bool) -> None:
    handler = "" if "handler" in keys else "handler: 'a:b', "
    text = f"job_types: {{J: {{{handler}max_concurrency: 1, {keys}}}}}"
    assert parsed(text).types["J"].preload is preload
    if "preload" not in keys:
        assert parsed(f"defaults: {{preload: true}}\n{text}").types["J"].preload is preload


def test_a_command_has_nothing_to_preload() -> None:
    text = "job_types: {J: {command: [x], max_concurrency: 1, preload: true}}"
    assert mistakes(text) == ["1: job_types.J.preload: a command has nothing to import; remove this key"]
    by_default = parsed(f"defaults: {{preload: true}}\n{text.replace(', preload: true', '')}")
    assert by_default.types["J"].preload is False


@pytest.mark.parametrize(
    "sandbox,asked",
    [
        (Sandbox(), False),
        (Sandbox(no_new_privileges=False), False),
        (Sandbox(network=False), True),
        (Sandbox(private_tmp=True), True),
        (Sandbox(private_tmp=1), True),
        (Sandbox(read_only=True), True),
        (Sandbox(read_only=(Path("/"),)), True),
        (Sandbox(writable=(Path("/"),)), True),
    ],
)
def test_a_sandbox_is_asked_for_by_anything_beyond_the_defaults(sandbox: Sandbox, *, asked: bool) -> None:
    assert sandbox.asked is asked

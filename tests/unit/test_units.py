"""supervisor.units: what people write for durations and sizes."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.units import LARGEST, LONGEST, duration, period, size, spoken


@pytest.mark.parametrize(
    "written,seconds",
    [
        (0, 0.0),
        (10, 10.0),
        (0.25, 0.25),
        ("250ms", 0.25),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172_800.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("1.5h", 5400.0),
        ("30", 30.0),
        (" 30 ", 30.0),
    ],
)
def test_a_duration_is_read_in_seconds(written: str | float, seconds: float) -> None:
    assert duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", " ", "s", "10x", "10 s", "30m1h", "1h1h", "1H", "-5s", "-5", "1:30", "5 minutes", "1_000", "٣s",
     "1e3", "nan", "inf", -1, math.nan, math.inf, True, False, LONGEST + 1, 10**400, "36501d", "9" * 99],
)  # fmt: skip
def test_what_is_no_duration_is_a_value_error(written: str | float) -> None:
    with pytest.raises(ValueError, match="must"):
        duration(written)


@given(st.integers(0, 10**9))
def test_milliseconds_are_exact(count: int) -> None:
    assert duration(f"{count}ms") == count / 1000


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_combined_units_add_up(days: int, hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    written = f"{days}d{hours}h{minutes}m{seconds}s{milliseconds}ms"
    assert duration(written) == pytest.approx(whole + milliseconds / 1000, abs=1e-6)


@given(st.one_of(st.text(), st.text("0123456789dhms. "), st.floats(), st.integers(), st.booleans()))
def test_a_duration_is_a_number_in_bounds_or_a_value_error(written: str | float) -> None:
    try:
        seconds = duration(written)
    except ValueError:
        return
    assert 0 <= seconds <= LONGEST


@pytest.mark.parametrize(
    "seconds,text",
    [
        (0.0, "0"),
        (0.25, "0.25"),
        (30.0, "30"),
        (5_184_000.0, "5184000"),
        (float(LONGEST), "3153600000"),
        (0.00001, "0.00001"),
        (1.000000000001, "1s0.000000001ms"),
        (math.inf, "forever"),
    ],
)
def test_seconds_are_spoken_as_people_write_them(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@given(
    st.dictionaries(
        st.sampled_from(["d", "h", "m", "s", "ms"]),
        st.from_regex(re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?", re.ASCII), fullmatch=True),
    )
)
def test_what_is_spoken_is_read_as_the_same_number(parts: dict[str, str]) -> None:
    seconds = period("".join(parts.get(unit, "0") + unit for unit in ("d", "h", "m", "s", "ms")))
    assert period(spoken(seconds)) == seconds


@pytest.mark.parametrize(
    "written,in_bytes",
    [
        (0, 0),
        (1024, 1024),
        ("1024", 1024),
        ("64K", 65_536),
        ("64k", 65_536),
        ("10M", 10_485_760),
        ("2G", 2_147_483_648),
        ("1t", 1_099_511_627_776),
    ],
)
def test_a_size_is_read_in_bytes_by_powers_of_1024(written: str | float, in_bytes: int) -> None:
    assert size(written) == in_bytes


@pytest.mark.parametrize(
    "written",
    ["", "K", "1.5G", "64KiB", "64KB", "64 K", "5 MB", "-1", "1_000", "0x10", "٣K", -1, 1.5, True,
     LARGEST + 1, "9999999T"],
)  # fmt: skip
def test_what_is_no_size_is_a_value_error(written: str | float) -> None:
    with pytest.raises(ValueError, match="must"):
        size(written)


@given(st.one_of(st.text(), st.text("0123456789kKmMgGtT "), st.integers(), st.floats(), st.booleans()))
def test_a_size_is_a_whole_number_in_bounds_or_a_value_error(written: str | float) -> None:
    try:
        count = size(written)
    except ValueError:
        return
    assert type(count) is int
    assert 0 <= count <= LARGEST


@given(st.integers(0, 2**20), st.sampled_from(["", "K", "M", "G", "T"]))
def test_each_letter_is_1024_times_the_one_before(count: int, letter: str) -> None:
    assert size(f"{count}{letter}") == count * 1024 ** ["", "K", "M", "G", "T"].index(letter)

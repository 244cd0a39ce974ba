"""The parts of the benchmark that measure nothing: what they compute and how they show it."""

import os
import re
import subprocess
import sys

import pytest

from benchmarks.aims import AIMS, Aim, table
from benchmarks.documenting import BEGIN, END, replaced
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.processes import cpu_seconds, trees
from benchmarks.measuring.report import Table
from benchmarks.measuring.spread import Spread, number, percentile, ratios
from tests.tree import ROOT


def test_a_spread_is_median_lowest_and_highest() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert str(Spread.of([1234.5, 1000.25, 2000.75])) == "1,230 (1,000 to 2,000)"
    assert str(Spread.of([0.5])) == "0.500"


def test_nothing_measured_has_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([10.0, 100.0], [5.0, 50.0]) == Spread(2.0, 2.0, 2.0)


@pytest.mark.parametrize("share, value", [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([*range(100, 0, -1)], share) == value


@pytest.mark.parametrize(
    "value, text",
    [(0, "0"), (5.0, "5"), (20_000, "20,000"), (0.01234, "0.0123"), (99.94, "99.9"), (-1.5, "-1.50")],
)
def test_a_number_shows_three_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_a_table_names_what_was_not_measured() -> None:
    text = Table("Speed", ["", "a"], [["x", Spread.of([2.0])], ["y", None]], note="Of two.").markdown()
    assert text == "### Speed\n\nOf two.\n\n|  | a |\n| --- | --- |\n| x | 2 |\n| y | not measured |\n"


@pytest.mark.parametrize(
    "bound, figures, verdict",
    [
        ("at least", [1.0, 3.0], "yes"),
        ("at least", [0.9, 3.0], "**no**: the disk"),
        ("at most", [1.0], "yes"),
        ("at most", [0.5, 1.1], "**no**: the disk"),
        ("at least", [], "not measured"),
    ],
)
def test_an_aim_is_met_where_every_figure_keeps_the_bound(
    bound: str, figures: list[float], verdict: str
) -> None:
    aim = Aim("what", "figure", 1, at_least=bound == "at least", obstacle="the disk")
    (row,) = table({"figure": figures}, [aim]).rows
    assert (row[-1] or "not measured") == verdict


def test_every_figure_of_an_aim_is_one_that_a_benchmark_gives() -> None:
    given = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "aims")
    assert [aim.figure for aim in AIMS if not re.search(rf'"{aim.figure}"', given)] == []


def test_each_round_begins_with_another() -> None:
    extent = Extent(quick=True, turns=3)
    assert [extent.interleaved("abc", turn) for turn in range(3)] == [[*"abc"], [*"bca"], [*"cab"]]


def test_the_processor_time_of_a_tree_includes_children_that_have_ended() -> None:
    before = cpu_seconds([os.getpid()])
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-S", "-c", burn], check=True)
    assert cpu_seconds([os.getpid()]) - before >= 0.28
    assert trees([os.getpid()])[0] == os.getpid()


def test_the_tables_of_a_run_replace_those_in_the_page_and_nothing_else() -> None:
    page = f"# Page\n{BEGIN}\nold\n{END}\nafter\n"
    written = replaced(page, "## Speed\n\n![Speed](speed.png)\n", "performance")
    assert written == f"# Page\n{BEGIN}\n\n### Speed\n\n![Speed](performance/speed.png)\n\n{END}\nafter\n"


def test_a_page_without_a_place_for_figures_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no place"):
        replaced("# Page\n", "## Speed\n", "performance")


def test_the_page_has_a_place_for_the_figures() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page.count(BEGIN) == page.count(END) == 1

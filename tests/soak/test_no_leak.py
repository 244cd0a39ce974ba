"""A short version of `make soak`: what can be counted is the same after more jobs of all kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak import load, measure
from tests.support.service import Service

pytestmark = pytest.mark.system


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, load.TYPES)
    yield made
    made.end()


def test_more_jobs_take_no_more_descriptors_threads_or_children(service: Service) -> None:
    serving = service.serve("-P", "-m", "supervisor", ASYNCWORKER_HTTP="").ready()
    seen = []
    for _ in range(2):
        load.run(service, 100)
        seen.append(measure.at_rest(service, serving))
    grown = {name: held.grown_since(seen[0][name]) for name, held in seen[1].items()}
    assert not any(grown.values()), f"{seen[0]} became {seen[1]}"

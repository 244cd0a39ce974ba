"""`/metrics`: read by Prometheus's own parser, named by its conventions, and all of it in the docs."""

import re

from prometheus_client.parser import text_string_to_metric_families

from supervisor.lifecycle import FailureKind
from tests.api.server import HttpServer
from tests.tree import ROOT

UNITS = ("seconds", "bytes", "ratio")


def test_names_units_and_kinds_are_as_prometheus_wants_them(server: HttpServer) -> None:
    text = server.get("/metrics").body.decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"asyncworker_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name == f"{family.name}_total"
            assert re.fullmatch(r"[a-z_]+", sample.name)
            assert not {"job", "instance"} & sample.labels.keys(), "Prometheus gives these itself"
        if family.type == "histogram":
            assert family.name.endswith(UNITS)
        for foreign in ("milliseconds", "minutes", "megabytes", "kilobytes", "mib"):
            assert foreign not in family.name
    series = [(each.name, *sorted(each.labels.items())) for family in families for each in family.samples]
    assert len(set(series)) == len(series)


def test_a_histogram_counts_in_each_bucket_what_is_in_the_smaller_ones_too(server: HttpServer) -> None:
    for family in text_string_to_metric_families(server.get("/metrics").body.decode()):
        if family.type != "histogram":
            continue
        buckets: dict[str, list[tuple[float, float]]] = {}
        for each in family.samples:
            if each.name.endswith("_bucket"):
                buckets.setdefault(each.labels["type"], []).append((float(each.labels["le"]), each.value))
        assert buckets
        for found in buckets.values():
            assert found == sorted(found)
            assert [value for _, value in found] == sorted(value for _, value in found)
            assert found[-1][0] == float("inf")


def test_every_failure_kind_is_counted_from_nought_on(server: HttpServer) -> None:
    for family in text_string_to_metric_families(server.get("/metrics").body.decode()):
        if family.name == "asyncworker_attempts_failed":
            of_one = [each.labels["kind"] for each in family.samples if each.labels["type"] == "EmailJob"]
            assert of_one == list(FailureKind)
            return
    raise AssertionError("no failures are counted")


def test_the_docs_list_every_metric_and_no_other(server: HttpServer) -> None:
    shown = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(server.get("/metrics").body.decode())
    }
    text = (ROOT / "docs" / "operations.md").read_text()
    listed = set(re.findall(r"^\| `(asyncworker_[a-z_]+)", text, re.MULTILINE))
    assert listed == shown | {"asyncworker_supervisor_heartbeat_age_seconds"}

"""The text format of Prometheus, read back by its own parser."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lasthop.server import metrics
from lasthop.server.status import COUNTERS

STRANGE = 'unix:/tmp/a "b"\\c\nd'


def document(**changes: Any) -> dict[str, Any]:
    queue = dict.fromkeys(("waiting", "holds", "deepest", "times_full", "seconds_full"), 0)
    return {
        "lasthop": "1",
        "pid": 7,
        "target": "a:b",
        "ready": True,
        "reloads": 0,
        "settings": {"workers": 1},
        "listeners": [{"address": STRANGE, "queue": queue}, {"address": "127.0.0.1:1", "queue": None}],
        "workers": [{"pid": None, "requests": 0}, {"pid": 8, "requests": 5}],
        "totals": dict.fromkeys((*COUNTERS, "threads", "workers_serving", "workers_died"), 3),
        "kernel": None,
    } | changes


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {
        each.name: [(other.labels, other.value) for other in family.samples if other.name == each.name]
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_a_label_may_be_anything() -> None:
    found = samples(metrics.written(document(), 1.0))
    assert [({"address": STRANGE}, 0)] == found["lasthop_queue_depth"]


def test_what_is_not_known_is_left_out() -> None:
    found = samples(metrics.written(document(), 1.0))
    assert [({"pid": "8"}, 5)] == found["lasthop_worker_requests_total"]
    assert not any("netns" in name for name in found)
    told = samples(metrics.written(document(kernel={"listen_overflows": 2, "listen_drops": 4}), 1.0))
    assert [({}, 4)] == told["lasthop_netns_listen_drops_total"]


def test_each_counter_of_the_status_is_a_metric() -> None:
    assert set(document()["totals"]) == set(metrics.TOTALS)
    names = [
        each.name for each in (*metrics.TOTALS.values(), *metrics.QUEUE.values(), *metrics.KERNEL.values())
    ]
    assert len(set(names)) == len(names)

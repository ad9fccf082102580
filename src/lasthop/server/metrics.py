"""The document of a server as Prometheus reads it: the text format, version 0.0.4.

Knows the format and the document, nothing of where the document comes from. prometheus-client is not used because it keeps a registry of
its own that would have to be fed from the document on each request; the tests read what is written here with its parser.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """What is told of a family of numbers."""

    name: str
    kind: str
    words: str


TOTALS = {
    "requests": Metric("lasthop_requests_total", "counter", "Requests handed to the application."),
    "connections": Metric("lasthop_connections", "gauge", "Connections open now."),
    "threads_busy": Metric("lasthop_threads_busy", "gauge", "Threads in the application now."),
    "threads": Metric("lasthop_threads", "gauge", "Threads of the workers that serve."),
    "accepted": Metric("lasthop_connections_accepted_total", "counter", "Connections accepted."),
    "failed": Metric("lasthop_requests_failed_total", "counter", "Requests whose application raised."),
    "refused": Metric("lasthop_requests_refused_total", "counter", "Requests that broke a rule of HTTP or a limit."),
    "timed_out": Metric("lasthop_connections_timed_out_total", "counter", "Connections closed because their peer was slow, or idle for too long."),
    "strangers": Metric("lasthop_strangers_total", "counter", "Connections of peers whom --allow-peer does not name, closed unread."),
    "sent_bytes": Metric("lasthop_sent_bytes_total", "counter", "Bytes of replies."),
    "workers_serving": Metric("lasthop_workers_serving", "gauge", "Workers that serve."),
    "workers_died": Metric("lasthop_workers_died_total", "counter", "Workers that ended without having been told to."),
}  # fmt: skip

QUEUE = {
    "waiting": Metric("lasthop_queue_depth", "gauge", "Connections that wait to be accepted."),
    "holds": Metric("lasthop_queue_limit", "gauge", "Connections that the queue takes; the next is refused over unix: and delayed over TCP."),
    "deepest": Metric("lasthop_queue_deepest", "gauge", "The most that were seen waiting, by a look each second."),
    "times_full": Metric("lasthop_queue_full_total", "counter", "How often the queue was seen to become full."),
    "seconds_full": Metric("lasthop_queue_full_seconds_total", "counter", "For how long the queue was seen full."),
}  # fmt: skip

KERNEL = {
    "listen_overflows": Metric("lasthop_netns_listen_overflows_total", "counter", "TCP connections that found a queue full: all listeners of the network namespace (ListenOverflows)."),
    "listen_drops": Metric("lasthop_netns_listen_drops_total", "counter", "TCP connections dropped before a listener had them: all listeners of the network namespace (ListenDrops)."),
}  # fmt: skip


def written(document: dict[str, Any], started: float) -> str:
    """The text. `started`: seconds since the epoch."""
    lines: list[str] = []

    def write(metric: Metric, samples: Iterable[tuple[dict[str, object], object]]) -> None:
        lines.append(f"# HELP {metric.name} {metric.words}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in samples:
            text = ",".join(f'{name}="{_escaped(str(each))}"' for name, each in labels.items())
            lines.append(f"{metric.name}{{{text}}} {value}" if text else f"{metric.name} {value}")

    told = {"version": document["lasthop"], "target": document["target"], "pid": document["pid"]}
    write(Metric("lasthop_info", "gauge", "Which server this is."), [(told, 1)])
    write(Metric("lasthop_ready", "gauge", "1 when requests are served, as /ready says."), [({}, int(document["ready"]))])  # fmt: skip
    write(Metric("lasthop_start_time_seconds", "gauge", "When the server started, in seconds since the epoch."), [({}, round(started, 3))])  # fmt: skip
    write(Metric("lasthop_reloads_total", "counter", "Reloads that took effect."), [({}, document["reloads"])])  # fmt: skip
    write(Metric("lasthop_workers_wanted", "gauge", "How many workers there should be."), [({}, document["settings"]["workers"])])  # fmt: skip
    for name, metric in TOTALS.items():
        write(metric, [({}, document["totals"][name])])
    write(
        Metric(
            "lasthop_worker_requests_total",
            "counter",
            "Requests of each worker that lives: is the load even?",
        ),
        [({"pid": each["pid"]}, each["requests"]) for each in document["workers"] if each["pid"] is not None],
    )
    known = [each for each in document["listeners"] if each["queue"] is not None]
    for name, metric in QUEUE.items():
        write(metric, [({"address": each["address"]}, each["queue"][name]) for each in known])
    if document["kernel"] is not None:
        for name, metric in KERNEL.items():
            write(metric, [({}, document["kernel"][name])])
    return "\n".join([*lines, ""])


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

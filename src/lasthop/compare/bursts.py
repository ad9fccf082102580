"""Many connections at the same moment: how many a server's queue refuses on each link, and how long the last one waits.

Over `unix:` a full queue refuses at once, over TCP the kernel tries again for a second and longer: the same overload looks different.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from lasthop.compare.asking import LoadAddress
from lasthop.compare.plan import Plan
from lasthop.compare.results import Burst, Results
from lasthop.compare.stand import Standing, request_of
from lasthop.engine import load as engine_load
from lasthop.link.backlog import kernel_limit

_burst: Callable[..., dict[str, Any]] = engine_load.burst

SECONDS = 5.0
SPARE_DESCRIPTORS = 256


def size() -> int:
    """How many connections a burst has by default: a quarter more than the kernel lets wait, as far as descriptors reach."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(0, min(kernel_limit() * 5 // 4, hard - SPARE_DESCRIPTORS))


def burst_all(standing: dict[str, Standing], plan: Plan, results: Results) -> None:
    """A burst to each server on each link, once, past its front."""
    done: set[tuple[str, str, str]] = set()
    for name, each in standing.items():
        key = each.cell.target, each.cell.server, each.cell.link
        if key in done or not plan.burst:
            continue
        done.add(key)
        told = _burst(
            each.server_address,
            plan.burst,
            request_of(plan, each.cell).text(keep_alive=False),
            seconds=SECONDS,
        )
        results.bursts.append(
            Burst(
                cell=name,
                asked=told["asked"],
                connected=told["connected"],
                refused=told["refused"],
                replied=told["replied"],
                timed_out=told["timed_out"],
                queue=queue_of(each.server_address),
                slowest_connect_us=told["slowest_connect_ns"] / 1000,
                slowest_reply_us=told["slowest_reply_ns"] / 1000,
                other=told["other"],
            )
        )


def queue_of(address: LoadAddress) -> int:
    """The room in a listener's queue, as the kernel tells it (`ss`); 0: it does not tell."""
    program = shutil.which("ss")
    if program is None:
        return 0
    kind = "-x" if isinstance(address, str) else "-t"
    said = subprocess.run(
        [program, "-lnH", kind], capture_output=True, text=True, check=False, timeout=10
    ).stdout
    for line in said.splitlines():
        words = line.split()
        # Netid (only with several kinds) State Recv-Q Send-Q Address ...
        places = [i for i, word in enumerate(words) if word == "LISTEN"]
        if not places or len(words) < places[0] + 4:
            continue
        there = words[places[0] + 3]
        if isinstance(address, str):
            matches = there == address
        else:
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            matches = there == f"{host}:{address[1]}"
        if matches:
            return int(words[places[0] + 2])
    return 0

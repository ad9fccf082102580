"""The kernel's own counters of this network namespace, before and after: what a link moves, and that a UNIX socket moves none of it.

They count the whole namespace: where something else talks at the time, it is in them too. So a rise proves little, and standing still proves
that nothing passed.
"""

from __future__ import annotations

from pathlib import Path

NET = Path("/proc/net")

WATCHED = ("Tcp", "Ip", "Ip6")
"""The protocols whose traffic is watched."""
SETTINGS = ("RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "CurrEstab", "Forwarding", "DefaultTTL")
"""What stands among the counters, and is none."""

Counters = dict[str, int]


def read(net: Path = NET) -> Counters:
    """All of them by name, such as `Tcp.InSegs`, `Ip6.InReceives`, `lo.rx_packets`."""
    found: Counters = {}
    for name, reader in (("snmp", _pairs_of_lines), ("snmp6", _pairs_in_lines), ("dev", _devices)):
        try:
            found |= reader((net / name).read_text())
        except OSError:  # no IPv6, or no /proc: what cannot be read is not claimed
            continue
    return found


def difference(before: Counters, after: Counters) -> Counters:
    """Those that went up, and by how much."""
    return {
        name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)
    }


def _pairs_of_lines(text: str) -> Counters:
    """`Tcp: InSegs ...` above `Tcp: 17 ...`."""
    lines = text.splitlines()
    found: Counters = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol = names.partition(":")[0]
        if protocol in WATCHED:
            words = zip(names.split()[1:], values.split()[1:], strict=False)
            found |= {f"{protocol}.{name}": int(value) for name, value in words if name not in SETTINGS}
    return found


def _pairs_in_lines(text: str) -> Counters:
    """`Ip6InReceives    17`."""
    found: Counters = {}
    for line in text.splitlines():
        name, value = line.split()
        if name.startswith("Ip6"):
            found[f"Ip6.{name.removeprefix('Ip6')}"] = int(value)
    return found


def _devices(text: str) -> Counters:
    found: Counters = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.rpartition(":")
        numbers = rest.split()
        received, sent = numbers[:2], numbers[8:10]
        for counter, value in zip(("rx_bytes", "rx_packets"), received, strict=True):
            found[f"{name.strip()}.{counter}"] = int(value)
        for counter, value in zip(("tx_bytes", "tx_packets"), sent, strict=True):
            found[f"{name.strip()}.{counter}"] = int(value)
    return found

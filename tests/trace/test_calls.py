"""Which system calls are the hop's: by the kernel's notes beside the descriptors, never by what a peer sent."""

from __future__ import annotations

from lasthop.trace.calls import marks_of_tcp, marks_of_unix, on_the_hop

CLIENT, SERVER = ("127.0.0.1", 50110), ("127.0.0.1", 8000)


def line(call: str, at: int = 1) -> tuple[int, str]:
    return 7, f"{at}.000000001 {call} <0.000022>"


def names(lines: list[tuple[int, str]], marks: list[str]) -> list[str]:
    return [call.name for call in on_the_hop(lines, marks, lambda _: "server")]


def test_only_calls_on_the_hops_descriptors_are_kept() -> None:
    marks = marks_of_tcp([(CLIENT, SERVER)], [99])
    assert ["socket", "recvfrom"] == names(
        [
            line("socket(AF_INET, SOCK_STREAM, 0) = 3<TCP:[99]>"),
            line('recvfrom(3<TCP:[127.0.0.1:8000->127.0.0.1:50110]>, "x", 1, 0, NULL, NULL) = 1', 2),
            line('recvfrom(4<TCP:[127.0.0.1:8000->127.0.0.1:50111]>, "x", 1, 0, NULL, NULL) = 1', 3),
            line('read(5</etc/passwd>, "x", 1) = 1', 4),
        ],
        marks,
    )


def test_what_a_peer_sent_makes_no_call_the_hops() -> None:
    marks = marks_of_tcp([(CLIENT, SERVER)], [])
    evil = r'write(1</tmp/log>, "a\"<TCP:[127.0.0.1:8000->127.0.0.1:50110]>", 40) = 40'
    assert [] == names([line(evil)], marks)


def test_ipv6_addresses_are_written_in_brackets() -> None:
    marks = marks_of_tcp([(("::1", 1), ("::1", 2))], [])
    assert ["close"] == names([line("close(3<TCPv6:[[::1]:1->[::1]:2]>) = 0")], marks)


def test_the_other_end_of_a_unix_connection_is_found_by_its_inode() -> None:
    lines = [
        line('accept4(4<UNIX-STREAM:[5,"/a.sock"]>, NULL, NULL, 0) = 15<UNIX-STREAM:[20->10,"/a.sock"]>'),
        line('recvfrom(15<UNIX-STREAM:[20->10,"/a.sock"]>, "", 1, 0, NULL, NULL) = 0', 2),
        line('recvfrom(16<UNIX-STREAM:[21->11,"/a.sock"]>, "", 1, 0, NULL, NULL) = 0', 3),
    ]
    assert ["accept4", "recvfrom"] == names(lines, marks_of_unix([10], lines))


def test_times_are_nanoseconds_and_results_are_whole() -> None:
    found = on_the_hop(
        [line("close(3<TCP:[99]>) = -1 EIO (Input/output error)")], [":[99]"], lambda _: "client"
    )
    assert [(1_000_000_001, 22_000, "-1 EIO (Input/output error)")] == [
        (call.at_ns, call.took_ns, call.result) for call in found
    ]

"""Sockets that somebody else made."""

import os
import socket
from collections.abc import Iterator

import pytest

from lasthop.errors import ListenError
from lasthop.link.address import FdAddress, SystemdAddress
from lasthop.link.inherited import Passed, take


@pytest.fixture
def listening() -> Iterator[int]:
    """The number of a listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        number = os.dup(made.fileno())
    yield number
    try:
        os.close(number)
    except OSError:
        return


def test_takes_a_listening_socket_as_it_is(listening: int) -> None:
    os.set_inheritable(listening, True)
    with take(FdAddress(listening), listening) as taken:
        assert (listening, False, False) == (taken.fileno(), taken.getblocking(), taken.get_inheritable())
        socket.create_connection(taken.getsockname()).close()


def test_refuses_a_number_that_is_not_open() -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    with pytest.raises(ListenError, match=f"file descriptor {read} is not open"):
        take(FdAddress(read), read)


def test_refuses_what_is_not_a_socket() -> None:
    read, write = os.pipe()
    with pytest.raises(ListenError, match="is not a socket"):
        take(FdAddress(read), read)
    os.close(read)
    os.close(write)


def test_refuses_a_datagram_socket_and_leaves_it_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with pytest.raises(ListenError, match="is not a TCP or unix stream socket"):
            take(FdAddress(other.fileno()), other.fileno())
        assert 0 == other.getsockname()[1]


def test_refuses_a_socket_that_does_not_listen_rather_than_make_it() -> None:
    with socket.socket() as other:
        with pytest.raises(ListenError, match="does not listen"):
            take(FdAddress(other.fileno()), other.fileno())
        assert 0 == other.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def passed(**more: str) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"} | more


def test_systemds_sockets_begin_at_3() -> None:
    assert [3, 4] == Passed(passed()).numbers(SystemdAddress())


def test_a_name_chooses_among_systemds_sockets() -> None:
    assert [4] == Passed(passed()).numbers(SystemdAddress("admin"))


def test_sockets_without_names_are_passed_too() -> None:
    assert [3, 4] == Passed(passed(LISTEN_FDNAMES="")).numbers(SystemdAddress())


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ListenError, match="no socket of this name, but: admin, web"):
        Passed(passed()).numbers(SystemdAddress("other"))


def test_sockets_for_another_process_are_not_taken() -> None:
    with pytest.raises(ListenError, match=f"the sockets are for pid 1, this is pid {os.getpid()}"):
        Passed(passed(LISTEN_PID="1")).numbers(SystemdAddress())


def test_no_sockets_at_all_are_said() -> None:
    with pytest.raises(ListenError, match="systemd passed no socket"):
        Passed({}).numbers(SystemdAddress())


def test_the_variables_are_taken_out_of_the_environment() -> None:
    environment = passed(PATH="/bin")
    Passed(environment)
    assert {"PATH": "/bin"} == environment

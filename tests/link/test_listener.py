"""Listeners from addresses: what is bound, and why something is not."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lasthop.errors import ListenError
from lasthop.link.address import TcpAddress, parse
from lasthop.link.listener import Listener, Opener

Open = Callable[[str], list[Listener]]

IPV6 = Path("/proc/net/if_inet6").exists() and "lo" in Path("/proc/net/if_inet6").read_text()


@pytest.fixture
def listen() -> Iterator[Open]:
    """Open the listeners of an address, closed after the test."""
    made: list[Listener] = []

    def listen_at(text: str) -> list[Listener]:
        opened = Opener({}, 16).open(parse(text))
        made.extend(opened)
        return opened

    yield listen_at
    for each in made:
        each.close()


def test_port_0_becomes_a_real_port(listen: Open) -> None:
    (listener,) = listen("127.0.0.1:0")
    port = listener.socket.getsockname()[1]
    assert (f"127.0.0.1:{port}", "127.0.0.1", str(port)) == (
        listener.address,
        listener.server_name,
        listener.server_port,
    )
    socket.create_connection(("127.0.0.1", port)).close()


def test_sockets_do_not_block_and_are_closed_on_exec(listen: Open, tmp_path: Path) -> None:
    for text in ("127.0.0.1:0", f"unix:{tmp_path}/s", f"unix:@{tmp_path}"):
        (listener,) = listen(text)
        assert (False, False) == (listener.socket.getblocking(), listener.socket.get_inheritable())


def test_accepted_connections_send_without_delay(listen: Open) -> None:
    (listener,) = listen("127.0.0.1:0")
    with socket.create_connection(listener.socket.getsockname()):
        listener.socket.setblocking(True)
        accepted, _ = listener.socket.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) > 0


@pytest.mark.skipif(not IPV6, reason="no IPv6 here")
def test_ipv6_is_only_ipv6(listen: Open) -> None:
    (six,) = listen("[::]:0")
    port = six.server_port
    (four,) = listen(f"0.0.0.0:{port}")
    assert [f"[::]:{port}", f"0.0.0.0:{port}"] == [six.address, four.address]


def test_a_listener_on_every_address_is_named_after_the_machine(listen: Open) -> None:
    (listener,) = listen(":0")
    assert socket.gethostname() == listener.server_name


def test_a_name_with_several_addresses_has_one_port_on_all(
    listen: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_addresses(*args: object, **kwargs: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    first, second = listen("two.example:0")
    assert first.server_port == second.server_port
    assert ["two.example"] * 2 == [first.server_name, second.server_name]


def test_localhost_is_bound_wherever_it_can_be(listen: Open) -> None:
    listeners = listen("localhost:0")
    assert "localhost" == listeners[0].server_name
    for each in listeners:
        socket.create_connection(each.socket.getsockname()[:2]).close()


def test_says_that_a_port_is_taken(listen: Open) -> None:
    (first,) = listen("127.0.0.1:0")
    with pytest.raises(ListenError, match=f"port {first.server_port} is taken") as caught:
        listen(first.address)
    assert f"ss -ltnp 'sport = :{first.server_port}'" in caught.value.hint


def test_a_port_that_was_in_use_a_moment_ago_can_be_bound(listen: Open) -> None:
    (first,) = listen("127.0.0.1:0")
    with socket.create_connection(first.socket.getsockname()):
        first.socket.setblocking(True)
        first.socket.accept()[0].close()  # our side closes first: TIME_WAIT
    first.close()
    (second,) = listen(first.address)
    assert first.address == second.address


def test_says_that_an_address_is_not_of_this_machine(listen: Open) -> None:
    with pytest.raises(ListenError, match="this machine has no address"):
        listen("192.0.2.1:0")


def test_says_that_a_name_is_not_known(listen: Open) -> None:
    with pytest.raises(ListenError, match="cannot be resolved"):
        listen("no-such-host.invalid:0")


def test_an_address_that_fails_leaves_none_of_its_sockets_open(
    listen: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (taken,) = listen("127.0.0.2:0")
    port = int(taken.server_port)

    def two_addresses(*args: object, **kwargs: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")
        ]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", two_addresses)
        with pytest.raises(ListenError):
            Opener({}, 16).open(TcpAddress("two.example", port))
    listen(f"127.0.0.1:{port}")


def test_a_socket_file_has_a_name_and_a_port_for_the_environ(listen: Open, tmp_path: Path) -> None:
    (listener,) = listen(f"unix:{tmp_path}/s")
    assert (f"unix:{tmp_path}/s", "localhost", "80") == (
        listener.address,
        listener.server_name,
        listener.server_port,
    )


def test_closing_removes_the_file_unless_told_otherwise(listen: Open, tmp_path: Path) -> None:
    (first,), (second,) = listen(f"unix:{tmp_path}/a"), listen(f"unix:{tmp_path}/b")
    first.close()
    second.close(keep_file=True)
    assert ["b"] == [each.name for each in tmp_path.iterdir()]


def test_an_abstract_name_has_no_file(listen: Open, tmp_path: Path) -> None:
    name = f"lasthop-{os.getpid()}-{threading.get_ident()}"
    (listener,) = listen(f"unix:@{name}")
    assert (f"unix:@{name}", None) == (listener.address, listener.file)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(f"\0{name}")


def test_says_that_an_abstract_name_is_taken(listen: Open) -> None:
    name = f"lasthop-{os.getpid()}-{threading.get_ident()}"
    listen(f"unix:@{name}")
    with pytest.raises(ListenError, match="another process has the name"):
        listen(f"unix:@{name}")


def test_an_inherited_socket_keeps_its_file(listen: Open, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(tmp_path / "s"))
        theirs.listen()
        (listener,) = listen(f"fd:{os.dup(theirs.fileno())}")
        assert f"unix:{tmp_path}/s" == listener.address
        listener.close()
    assert (tmp_path / "s").exists()


@pytest.mark.parametrize(("low", "user"), [(80, 65534)])
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_says_who_may_not_use_a_low_port(low: int, user: int) -> None:
    start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if start.exists() and int(start.read_text()) <= low:
        pytest.skip("low ports are free here")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(user)
        try:
            Opener({}, 16).open(TcpAddress("127.0.0.1", low))
        except ListenError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        assert f"uid {user} may not use port {low}" in pipe.read()

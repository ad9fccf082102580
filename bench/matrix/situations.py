"""The situations, each with what is right in it and the play that finds out. Knows no server by name.

A play is given a stand and says what happened. It ends early where the server has no option for it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

from bench.matrix.rules import (
    SITUATIONS,
    Outcome,
    how_it_ended,
    mode_of,
    names,
    no_option,
    served,
    situation,
    verdict,
)
from bench.matrix.servers import Wish
from bench.matrix.stand import FRONT_USER, SECONDS, Ask, Process, Reply, Stand, dead_socket, other_server

__all__ = ["SITUATIONS"]

BACK_SECONDS = 3.0
"""How soon a server must be reachable again when its file was taken away."""
TOLD_SECONDS = 2.0
"""How long to wait for words that may come just after the start."""
LONGEST_PATH = 107


# Start, stop, start again


@situation("the first start, as root, nginx as www-data", "nginx gets its replies")
def first_start(stand: Stand) -> Outcome:
    stand.start("first", Wish(str(stand.path), opened=False))
    return served(stand.served_by("first"), "first")


@situation("the same, the server started by another user than root", "nginx gets its replies")
def not_root(stand: Stand) -> Outcome:
    shutil.chown(stand.directory, "nobody")
    stand.start("first", Wish(str(stand.path), opened=False), user="nobody")
    return served(stand.served_by("first"), "first")


@situation("stopped by SIGTERM", "nothing is left in the directory")
def stopped(stand: Stand) -> Outcome:
    if not stand.start("first").stop():
        return verdict(False, "did not stop")
    left = sorted(each.name for each in stand.directory.iterdir())
    return verdict(not left, f"leaves {', '.join(left)}" if left else "leaves nothing")


@situation("SIGTERM while a request is being answered", "the reply is still sent")
def stopped_while_answering(stand: Stand) -> Outcome:
    server = stand.start("first")
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(stand.front(ask="/slow")))
    stand.front()
    asking.start()
    time.sleep(0.2)
    server.signal(signal.SIGTERM)
    asking.join()
    return verdict(replies[0].status == 200, "sent" if replies[0].status == 200 else f"nginx: {replies[0]}")


@situation("started again after SIGTERM", "it starts and works")
def again_after_term(stand: Stand) -> Outcome:
    stand.start("first").stop()
    return _started_again(stand)


@situation("started again after SIGKILL of all its processes", "it starts and works")
def again_after_kill(stand: Stand) -> Outcome:
    stand.start("first").kill()
    return _started_again(stand)


@situation("2 workers; started again after SIGKILL of the first process only", "it starts and works")
def again_after_kill_of_the_supervisor(stand: Stand) -> Outcome:
    stand.start("first", Wish(str(stand.path), workers=2)).kill(everything=False)
    return _started_again(stand, Wish(str(stand.path), workers=2))


def _started_again(stand: Stand, wish: Wish | None = None) -> Outcome:
    second = stand.start("second", wish)
    if not second.alive():
        return verdict(False, f"does not start: {how_it_ended(second)}")
    return served(stand.served_by("second"), "second")


@situation("SIGHUP, to load the code again, while nginx asks all the time", "no request fails")
def reload(stand: Stand) -> Outcome:
    if not stand.server.reloads:
        return no_option("no reload")
    server = stand.start("first", Wish(str(stand.path), workers=2))
    before = _pids(stand)
    failed: list[Reply] = []
    asked = 0
    server.signal(signal.SIGHUP)
    give_up = time.monotonic() + SECONDS
    old = before
    while old and time.monotonic() < give_up:
        for _ in range(100):
            reply = stand.front()
            asked += 1
            if reply.status != 200:
                failed.append(reply)
        old = before & _pids(stand)
    if old:
        return verdict(False, "the old workers go on")
    return verdict(not failed, f"{len(failed)} of {asked} fail: {failed[0]}" if failed else "none fails")


def _pids(stand: Stand) -> set[str]:
    """The processes that answer."""
    found = set()
    for _ in range(20):
        connection = Ask(str(stand.path))
        try:
            connection.request("GET", "/")
            found.add(connection.getresponse().read().decode().split()[1])
        except OSError:
            continue
        finally:
            connection.close()
    return found


# Two at one path


@situation(
    "a second one is started on the path of a living one",
    "it is refused, and says who is there; the first goes on",
)
def second_instance(stand: Stand) -> Outcome:
    first = stand.start("first")
    second = stand.start("second")
    if second.alive():
        return verdict(False, "takes the path away from the first, which lives on unreachable")
    reply = stand.served_by("first")
    if reply.name != "first":
        return verdict(False, f"is refused; nginx: {reply}")
    named = names(first.process.pid, second.said())
    return verdict(named, "refused, told who is there" if named else f"refused: {how_it_ended(second)}")


@situation("the same, and then the first one stops", "whoever still runs is reachable")
def second_instance_then_the_first_stops(stand: Stand) -> Outcome:
    first = stand.start("first")
    second = stand.start("second")
    first.stop()
    if not second.alive():
        return verdict(True, "none runs: the second was refused")
    reply = stand.served_by("second")
    return verdict(
        reply.name == "second",
        "the second is reachable" if reply.name else f"the second runs; nginx: {reply}",
    )


@situation("two are started at the same moment", "one works, the other is refused")
def two_at_once(stand: Stand) -> Outcome:
    both = [stand.start(name, wait=False) for name in ("first", "second")]
    stand.until(lambda: bool(stand.direct().name))
    stand.until(lambda: any(not each.alive() for each in both), BACK_SECONDS)
    alive = [each for each in both if each.alive()]
    reply = stand.front()
    if len(alive) == 2:
        return verdict(False, "both run, one is unreachable")
    return verdict(
        len(alive) == 1 and reply.status == 200, "one works" if reply.status == 200 else f"nginx: {reply}"
    )


@situation("another program listens at the path", "it is left alone, and who it is is said")
def path_of_another_program(stand: Stand) -> Outcome:
    other = other_server(stand.path)
    server = stand.start("first")
    reply = stand.front()
    if reply.name != "other":
        return verdict(False, "takes the path away from it")
    named = names(other.pid, server.said())
    return verdict(
        named and not server.alive(), "refused, told who is there" if named else how_it_ended(server)
    )


@situation("the new version takes over from the running one (--replace)", "no request fails", needs="replace")
def takeover(stand: Stand) -> Outcome:
    wish = Wish(str(stand.path), replace=True)
    if not stand.can(wish):
        return no_option("no takeover")
    first = stand.start("first")
    stand.front()
    failed: list[Reply] = []
    came: set[str] = set()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            reply = stand.front()
            came.add(reply.name)
            if reply.status != 200:
                failed.append(reply)

    asking = threading.Thread(target=ask)
    asking.start()
    second = stand.start("second", wish)
    ended = first.ends()
    stand.until(lambda: "second" in came)
    over.set()
    asking.join()
    if failed:
        return verdict(False, f"{len(failed)} fail: {failed[0]}")
    good = ended and second.alive() and "second" in came
    return verdict(good, "none fails" if good else how_it_ended(second))


# The file, while the server lives


@situation(
    "the file is deleted while it serves",
    "reachable again within 3 s, and it says so",
    needs="socket_missing",
)
def file_deleted(stand: Stand) -> Outcome:
    server = stand.start("first")
    stand.front()
    stand.path.unlink()
    return _back(stand, server)


@situation(
    "the directory is moved away, an empty one takes its place",
    "reachable again within 3 s, and it says so",
    needs="socket_missing",
)
def directory_moved(stand: Stand) -> Outcome:
    server = stand.start("first")
    stand.front()
    stand.directory.rename(stand.directory.with_name("before"))
    stand.directory.mkdir()
    return _back(stand, server)


def _back(stand: Stand, server: Process) -> Outcome:
    before = len(server.said())
    back = stand.until(lambda: stand.front().status == 200, BACK_SECONDS)
    said = str(stand.path) in server.said()[before:]
    if back:
        return verdict(said, "back, and says so" if said else "back, without a word")
    lives = "lives on unreachable" if server.alive() else "ends"
    return verdict(False, f"{lives}, {'says so' if said else 'without a word'}")


@situation(
    "another server puts its socket in the place of ours",
    "it is not stolen back, and who it is is said",
    needs="socket_missing",
)
def file_replaced(stand: Stand) -> Outcome:
    server = stand.start("first")
    stand.path.unlink()
    before = len(server.said())
    other = other_server(stand.path)
    stand.until(lambda: str(stand.path) in server.said()[before:], BACK_SECONDS)
    if stand.front().name != "other":
        return verdict(False, "takes it away from the other")
    said = server.said()[before:]
    named = names(other.pid, said)
    return verdict(named, "left alone, told who is there" if named else "left alone, without a word")


@situation("another server's socket is there when ours stops", "it is not removed")
def file_replaced_then_stopped(stand: Stand) -> Outcome:
    server = stand.start("first")
    stand.path.unlink()
    other_server(stand.path)
    server.stop()
    kept = stand.front().name == "other"
    return verdict(kept, "stays" if kept else "is removed")


# What is there before the start


@situation(
    "a dead socket of another user in a volume that everybody may write to, the server not root",
    "it is replaced",
)
def volume_left_over(stand: Stand) -> Outcome:
    stand.directory.chmod(0o777)
    dead_socket(stand.path, uid=10001)
    server = stand.start("first", user="nobody")
    if not server.alive():
        return verdict(False, f"does not start: {how_it_ended(server)}")
    return served(stand.served_by("first"), "first")


@situation("a lock file that somebody left beside the path", "it does not matter")
def lock_left_over(stand: Stand) -> Outcome:
    stand.path.with_name("app.sock.lock").touch()
    stand.start("first")
    return served(stand.served_by("first"), "first")


@situation("an ordinary file at the path", "refused, the file untouched")
def ordinary_file(stand: Stand) -> Outcome:
    stand.path.write_text("dear")
    server = stand.start("first")
    untouched = stand.path.is_file() and stand.path.read_text() == "dear"
    return _refused(server) if untouched else verdict(False, "the file is lost")


def _refused(server: Process) -> Outcome:
    """What stands at the path is untouched; is the start refused, too?"""
    lives = server.alive()
    return verdict(not lives, f"untouched; {'it lives on' if lives else how_it_ended(server)}")


@situation("a symbolic link at the path, to a file", "refused, both untouched")
def symbolic_link(stand: Stand) -> Outcome:
    target = stand.top / "dear"
    target.write_text("dear")
    stand.path.symlink_to(target)
    server = stand.start("first")
    if not stand.path.is_symlink() or target.read_text() != "dear":
        return verdict(False, "the link is lost" if target.exists() else "the file is lost")
    return _refused(server)


@situation("the directory does not exist", "refused, and which one is missing is said")
def directory_missing(stand: Stand) -> Outcome:
    path = stand.directory / "missing/app.sock"
    server = stand.start("first", Wish(str(path)))
    if server.alive():
        return verdict(stand.front(path).status == 200, "makes it")
    said = server.said()
    good = str(path.parent) in said and "Traceback" not in said
    return verdict(good, "says which" if good else how_it_ended(server))


# Who may connect


def _umask(stand: Stand, umask: int) -> tuple[str, bool, Reply]:
    server = stand.start("first", Wish(str(stand.path), opened=False), umask=umask)
    stand.until(lambda: stand.direct().name == "first")
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    kept = (
        next(line for line in status.splitlines() if line.startswith("Umask:")).split()[1] == f"{umask:04o}"
    )
    return mode_of(stand.path), kept, stand.front()


@situation("umask 000", "nginx gets its replies")
def umask_000(stand: Stand) -> Outcome:
    mode, kept, reply = _umask(stand, 0o000)
    return verdict(reply.name == "first" and kept, f"mode {mode}; nginx: {reply}")


@situation("umask 022, as usual", "nginx gets its replies")
def umask_022(stand: Stand) -> Outcome:
    mode, kept, reply = _umask(stand, 0o022)
    return verdict(reply.name == "first" and kept, f"mode {mode}; nginx: {reply}")


@situation("umask 077: somebody wants nobody in", "only the owner may connect")
def umask_077(stand: Stand) -> Outcome:
    mode, kept, reply = _umask(stand, 0o077)
    return verdict(reply.status == 502 and kept, f"mode {mode}; nginx: {reply}")


@situation("umask 027, the server's group is not nginx's: nginx cannot connect", "why is said at the start")
def wrong_group(stand: Stand) -> Outcome:
    stand.front()
    server = stand.start("first", Wish(str(stand.path), opened=False), umask=0o027)
    return _told(stand, server, "--socket-group")


@situation("a directory that nginx may not pass through", "why is said at the start")
def directory_closed(stand: Stand) -> Outcome:
    stand.front()
    stand.directory.chmod(0o700)
    server = stand.start("first")
    return _told(stand, server, str(stand.directory))


def _told(stand: Stand, server: Process, word: str) -> Outcome:
    reply = stand.front()
    told = stand.until(lambda: FRONT_USER in server.said() and word in server.said(), TOLD_SECONDS)
    words = "told, with what mends it" if told else "not a word"
    if reply.status == 200:
        return verdict(False, f"mode {mode_of(stand.path)}: everybody may connect")
    return verdict(told, f"{words}; nginx: {reply}")


@situation(
    "mode 0660 and nginx's group, by options", "so it is, and nginx gets its replies", needs="socket_group"
)
def mode_and_group(stand: Stand) -> Outcome:
    wish = Wish(str(stand.path), mode="0660", group=FRONT_USER)
    if not stand.can(wish):
        return no_option("no option for the group by name")
    server = stand.start("first", wish)
    if not server.alive():
        return verdict(False, how_it_ended(server))
    reply = stand.served_by("first")
    found = f"{mode_of(stand.path)} {stand.path.group()}"
    return verdict(reply.name == "first" and found == f"0660 {FRONT_USER}", f"{found}; nginx: {reply}")


# Names


@situation("a path of 107 bytes", "works")
def path_of_107_bytes(stand: Stand) -> Outcome:
    path = stand.directory / ("x" * (LONGEST_PATH - len(os.fsencode(stand.directory)) - 1))
    stand.start("first", Wish(str(path)))
    return served(stand.served_by("first", path), "first")


@situation("a path of 108 bytes", "refused, and why is said in words")
def path_of_108_bytes(stand: Stand) -> Outcome:
    path = stand.directory / ("x" * (LONGEST_PATH - len(os.fsencode(stand.directory))))
    server = stand.start("first", Wish(str(path)))
    said = server.said()
    good = (
        not server.alive() and "Traceback" not in said and (str(LONGEST_PATH) in said or "too long" in said)
    )
    return verdict(good, "says so" if good else how_it_ended(server) if not server.alive() else "hangs")


@situation("an abstract name", "reachable under it")
def abstract_name(stand: Stand) -> Outcome:
    wish = Wish("@lasthop-matrix")
    if not stand.can(wish):
        return no_option("no abstract names")
    server = stand.start("first", wish)
    reply = stand.direct(wish.address)
    if (stand.top / wish.address).exists():
        return verdict(False, f"makes a file called {wish.address}")
    return verdict(reply.name == "first", "works" if reply.name else how_it_ended(server))


@situation("the socket is passed by systemd; restarted while nginx asks", "no request fails, the file stays")
def systemd(stand: Stand) -> Outcome:
    wish = Wish("fd:3")
    if not stand.can(wish):
        return no_option("takes no sockets of systemd")
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(stand.path))
        stand.path.chmod(0o666)
        passed.listen(64)
        before = stand.path.stat().st_ino
        first = stand.start("first", wish, passed=passed)
        if stand.front().name != "first":
            return verdict(False, how_it_ended(first) if not first.alive() else "does not answer")
        first.stop()
        if not stand.path.exists() or stand.path.stat().st_ino != before:
            return verdict(False, "removes the file of systemd")
        replies: list[Reply] = []
        asking = threading.Thread(target=lambda: replies.append(stand.front()))
        asking.start()
        stand.start("second", wish, passed=passed)
        asking.join()
        good = replies[0].name == "second"
        return verdict(good, "waits for the next start" if good else f"nginx: {replies[0]}")

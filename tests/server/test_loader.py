"""The loader of ``--preload``: workers forked by it are the supervisor's children all the same."""

import os
import signal
from pathlib import Path

from .conftest import Start, children_of, until


def loader_of(pid: int, workers: set[int]) -> int:
    (loader,) = children_of(pid) - workers
    return loader


def test_workers_are_children_of_the_supervisor(start: Start) -> None:
    server = start(workers=2, preload=True)
    serving = {int(server.get()) for _ in range(50)}
    assert serving <= server.workers()
    assert 3 == len(server.workers())


def test_a_loader_that_was_killed_does_not_disturb_the_workers_and_is_replaced_when_needed(
    start: Start,
) -> None:
    server = start(preload=True)
    worker = int(server.get())
    os.kill(loader_of(server.pid, {worker}), signal.SIGKILL)
    until(lambda: server.workers() == {worker})
    assert str(worker) == server.get()
    os.kill(worker, signal.SIGKILL)
    server.wait_log("is ready", times=2)
    assert worker != int(server.get())


def test_the_supervisor_does_not_import_the_application(start: Start, tmp_path: Path) -> None:
    (tmp_path / "pids.py").write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(tmp_path)!r}, 'pid').write_text(str(os.getpid()))\n"
        "from applications import application\n"
    )
    server = start("pids:application", preload=True, pythonpath=[str(tmp_path), str(Path(__file__).parent)])
    assert server.pid != int((tmp_path / "pid").read_text())
    assert int((tmp_path / "pid").read_text()) in server.workers()

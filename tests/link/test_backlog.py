"""The length of the queue."""

from pathlib import Path

from lasthop.link.backlog import SOMAXCONN, UNKNOWN_LIMIT, kernel_limit, queue_length


def test_the_limit_is_the_kernels() -> None:
    assert int(SOMAXCONN.read_text()) == kernel_limit()


def test_without_proc_the_limit_is_that_of_old_kernels(tmp_path: Path) -> None:
    assert UNKNOWN_LIMIT == kernel_limit(tmp_path / "missing")


def test_0_takes_all_that_there_is() -> None:
    assert (4096, None) == queue_length(0, 4096)


def test_less_than_the_limit_is_taken_as_it_is() -> None:
    assert (4096, None) == queue_length(4096, 4096)


def test_more_than_the_limit_is_clipped_and_said() -> None:
    length, warning = queue_length(8192, 4096)
    assert 4096 == length
    assert warning is not None
    assert "backlog 8192 is clipped to 4096" in warning
    assert "sysctl net.core.somaxconn=8192" in warning

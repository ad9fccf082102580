"""The loader: with ``--preload`` the process that imports the application once and forks the workers that share its memory.

The supervisor never imports the application, so it stays small, cannot be taken down by it, and new code on HUP is a new loader.
A worker is forked twice: the process between ends at once, and the worker becomes the supervisor's child (which has asked to be
the reaper of its descendants), so that the supervisor hears of its death as of any other's.
"""

import contextlib
import ctypes
import gc
import os
import socket
from typing import NamedTuple

from lasthop.errors import LasthopError
from lasthop.server import exits
from lasthop.server.signals import ended_with, hold, release
from lasthop.server.worker import LONGEST_MESSAGE, Post, tell_failure, work

PR_SET_CHILD_SUBREAPER = 36


class LoaderPost(NamedTuple):
    """What a loader gets from the supervisor: a worker's post without its channel and slot."""

    channel: socket.socket
    pattern: Post


def become_reaper() -> None:
    """Have descendants whose parent ended become children of this process, prctl(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def load(post: LoaderPost) -> int:
    """Load the application, then fork a worker for each message ``fork SLOT``, until the channel ends.

    Called in a fresh fork with all signals held; returns the exit code, in the loader and in every worker.
    """
    release()
    channel = post.channel
    with contextlib.suppress(BrokenPipeError):
        try:
            with ended_with(channel):
                application = post.pattern.target.load()
        except LasthopError as error:
            return tell_failure(channel, exits.LOAD_FAILED, error)
        # What is loaded now stays for ever; a collector that writes into it would end the sharing of its pages.
        gc.collect()
        gc.freeze()
        channel.send(b"loaded")
        while True:
            message, descriptors, _, _ = socket.recv_fds(channel, LONGEST_MESSAGE, 1)
            if not message:
                break
            hold()
            if (between := os.fork()) == 0:
                if os.fork() != 0:
                    os._exit(exits.STOPPED)
                channel.close()
                worker_channel = socket.socket(fileno=descriptors[0])
                return work(
                    post.pattern._replace(channel=worker_channel, slot=int(message.split()[1])), application
                )
            os.waitpid(between, 0)
            os.close(descriptors[0])
            release()
    return exits.STOPPED

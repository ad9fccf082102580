"""What the exit code of the server, or of one of its processes, means."""

STOPPED = 0
"""Ended as it was asked to."""

FAILED = 1
"""Could not start (an address, a file, a setting), or a defect of lasthop itself."""

BOOT_FAILED = 3
"""A worker ended before it was ready; gunicorn's code for the same."""

LOAD_FAILED = 4
"""The application could not be loaded; gunicorn's code for the same."""

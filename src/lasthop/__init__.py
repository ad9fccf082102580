"""lasthop: the last hop from a web server to a Python application."""

__version__ = "0.1.0"

__all__ = ["__version__"]

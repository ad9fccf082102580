"""The WSGI and ASGI applications that the servers are measured with, a module for each framework so that none pays for another."""

from __future__ import annotations

from typing import Any

THING: dict[str, Any] = {"name": "lamp", "price": 24.9, "tags": ["desk", "brass"], "stock": 7}
THING_PATH = "/things/42"

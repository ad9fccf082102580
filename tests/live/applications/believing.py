"""Flask and Django set up to believe every header of a proxy, as applications behind one are."""

from __future__ import annotations

import importlib
import os
from typing import Any

application: Any = importlib.import_module(f"applications.{os.environ['LIVE_FRAMEWORK']}_site").application

if os.environ["LIVE_FRAMEWORK"] == "flask":
    from werkzeug.middleware.proxy_fix import ProxyFix

    application = ProxyFix(application, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
else:
    from django.conf import settings

    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.USE_X_FORWARDED_HOST = True
    settings.USE_X_FORWARDED_PORT = True

# mypy: disable-error-code="import-untyped,import-not-found,misc,no-untyped-call,untyped-decorator"
"""Django with a small JSON reply through a route with a converter and the middleware that every site keeps."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.applications import THING

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="bench",
    USE_I18N=False,
)


def thing(_request: HttpRequest, number: int) -> JsonResponse:
    """One thing by its number."""
    return JsonResponse({"id": number, **THING})


urlpatterns = [path("things/<int:number>", thing)]
django.setup()
app = get_wsgi_application()

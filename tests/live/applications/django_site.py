"""A small Django site: a page from a template, a form with its CSRF token, an upload, a stream and a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {
                            "page.html": "<h1>{{ title }}</h1><ul>{% for each in guests %}<li>{{ each }}</li>{% endfor %}</ul>",
                            "form.html": "<form method=post>{% csrf_token %}<input name=guest></form>",
                        },
                    )
                ]
            },
        }
    ],
)
django.setup()


def page(request: Any) -> Any:
    return render(request, "page.html", {"title": "Guests & friends", "guests": ["Ada", "<Grace>"]})


def form(request: Any) -> Any:
    if request.method == "POST":
        return HttpResponse(f"welcome {request.POST['guest']}")
    return render(request, "form.html")


def upload(request: Any) -> Any:
    given = request.FILES["document"]
    digest = hashlib.sha256()
    for block in given.chunks():
        digest.update(block)
    return JsonResponse({"name": given.name, "size": given.size, "sha256": digest.hexdigest()})


def stream(request: Any) -> Any:
    def lines() -> Iterator[str]:
        for number in range(1000):
            yield f"line {number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def file(request: Any) -> Any:
    return FileResponse(Path(os.environ["LIVE_FILE"]).open("rb"))


def client(request: Any) -> Any:
    return JsonResponse(
        {
            "address": request.META["REMOTE_ADDR"],
            "secure": request.is_secure(),
            "host": request.get_host(),
            "url": request.build_absolute_uri(),
            "peer": request.META.get("lasthop.peer"),
        }
    )


urlpatterns = [
    path("client", client),
    path("page", page),
    path("form", form),
    path("upload", csrf_exempt(upload)),
    path("stream", stream),
    path("file", file),
]
application = get_wsgi_application()

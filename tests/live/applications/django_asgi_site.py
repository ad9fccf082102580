"""Django over ASGI, as a site that the tests of ASGI frameworks ask; it knows neither WebSockets nor background tasks."""

import hashlib
from collections.abc import AsyncIterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="for tests", ALLOWED_HOSTS=["*"], DATA_UPLOAD_MAX_MEMORY_SIZE=None
)
django.setup()


def item(request: HttpRequest, name: str) -> HttpResponse:
    return JsonResponse({"item": name})


async def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(hashlib.sha256(request.body).hexdigest())


async def numbers() -> AsyncIterator[str]:
    for number in range(100):
        yield f"data: {number}\n\n"


async def events(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(numbers(), content_type="text/event-stream")


urlpatterns = [path("items/<name>", item), path("upload", upload), path("events", events)]
application = get_asgi_application()

"""A Django site in one file: an uploaded WAV file becomes text while it is heard.

    pip install django
    python django_app.py runserver --noreload
    curl -N -F file=@speech.wav http://127.0.0.1:8000/transcribe

A thread feeds the recording, and the response has its text as it comes. For WSGI: under
ASGI Django would collect the text before it sends any.
"""

import os
import sys
import threading
from collections.abc import Iterator

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from cartesia_stt_sync import CartesiaSTTError, ConfigError, Transcriber, WavReader

# No CSRF middleware, so that curl can post; a real site has it.
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
)

PAGE = """<!doctype html><title>Speech to text</title>
<form action=/transcribe method=post enctype=multipart/form-data>
<input type=file name=file accept=.wav> <button>Transcribe</button></form>"""


def text_of(wav: WavReader) -> Iterator[str]:
    """Give the text of a recording, a piece at a time, as it comes."""
    with Transcriber(source=wav.format, sample_rate=wav.format.sample_rate) as t:
        feeder = threading.Thread(target=feed, args=(t, wav))
        feeder.start()
        try:
            for delta in t.finals():  # ends with the session, or raises its error
                yield delta.text
        finally:
            # The client may have gone in the middle, which shows at a yield and
            # ends this generator there. The session must end too, and the feeder.
            t.abort()
            feeder.join()


def feed(t: Transcriber, wav: WavReader) -> None:
    try:
        for block in wav:
            t.feed(block)  # in real time: it waits
    except CartesiaSTTError:
        pass  # the session has ended; whoever waits for its text is told why
    finally:
        t.close(wait=False)  # also where the file fails: nobody shall wait for ever


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


def transcribe(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    file = request.FILES.get("file")
    if file is None:
        return HttpResponse("no file: choose a WAV file\n", status=400)
    try:
        wav = WavReader(file)
    except ConfigError as exc:
        return HttpResponse(f"no WAV file: {exc}\n", status=400)
    return StreamingHttpResponse(text_of(wav), content_type="text/plain; charset=utf-8")


urlpatterns = [path("", index), path("transcribe", transcribe)]

if __name__ == "__main__":
    if "--help" in sys.argv[1:2] or len(sys.argv) < 2:
        sys.exit(__doc__)
    execute_from_command_line(sys.argv)

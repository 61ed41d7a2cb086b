"""A web page that turns an uploaded WAV file into text while it is heard.

    pip install flask
    python flask_app.py
    curl -N -F file=@speech.wav http://127.0.0.1:5000/transcribe

A thread feeds the recording, and the response has its text as it comes. An error of
the session breaks the response off and is logged. A recording takes as long as it is:
behind gunicorn take threads, and a time-out that is longer.
"""

import argparse
import tempfile
import threading
from collections.abc import Iterator

from flask import Flask, Response, abort, request

from cartesia_stt_sync import CartesiaSTTError, ConfigError, Transcriber, WavReader

app = Flask(__name__)

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


@app.get("/")
def index() -> str:
    return PAGE


@app.post("/transcribe")
def transcribe() -> Response:
    # A copy, because Flask closes the upload before the response is through.
    upload = tempfile.TemporaryFile()
    request.files["file"].save(upload)  # without one Flask answers with 400
    upload.seek(0)
    try:
        wav = WavReader(upload)
    except ConfigError as exc:
        upload.close()
        abort(Response(f"no WAV file: {exc}\n", 400))
    response = Response(text_of(wav), mimetype="text/plain; charset=utf-8")
    response.call_on_close(upload.close)
    return response


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=5000)
    app.run(port=parser.parse_args().port, threaded=True)

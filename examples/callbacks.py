"""Transcribe a WAV file and react to each event as it comes.

    python callbacks.py speech.wav

Callbacks run on a thread of the library's, one at a time and in order. A slow
one holds up the next: hand long work to a queue. One that raises ends nothing:
it is logged, and "error" callbacks are told.
"""

import argparse

from cartesia_stt_sync import Closed, Finding, Transcriber, Transcript, WavReader


def transcribe(path: str) -> None:
    with WavReader(path) as wav:
        t = Transcriber(
            source=wav.format,
            sample_rate=wav.format.sample_rate,
            on_partial=lambda partial: print(f"  ... {partial}"),
        )

        @t.on("final")
        def show(delta: Transcript) -> None:
            # A delta brings its own blanks: "".join() of all of them is the text.
            print(f"final {delta.text!r}, {delta.duration or 0:.1f} s")

        @t.on("error")
        def complain(error: Exception) -> None:
            print(f"error {error}")

        @t.on("finding")
        def advise(finding: Finding) -> None:
            print(f"note  {finding}")

        @t.on("close")
        def end(closed: Closed) -> None:
            print(f"end   {'clean' if closed.error is None else 'failed'}")

        with t:
            for block in wav:
                t.feed(block)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="a WAV file")
    transcribe(parser.parse_args().file)

"""Transcribe a WAV file: file in, text out.

    python script.py speech.wav

The key is taken from CARTESIA_API_KEY. Without an account, run the local server
in another terminal ("cartesia-stt serve") and set what it prints.
"""

import argparse

from cartesia_stt_sync import Transcriber, WavReader


def transcribe(path: str) -> str:
    with WavReader(path) as wav:
        # The service takes any rate; width and channels are converted.
        with Transcriber(source=wav.format, sample_rate=wav.format.sample_rate) as t:
            for block in wav:
                t.feed(block)  # waits where the file is ahead of real time
        # Leaving the block has waited for the last word.
        return t.text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="a WAV file")
    print(transcribe(parser.parse_args().file))

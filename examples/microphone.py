"""Transcribe the microphone until Ctrl-C.

    pip install sounddevice
    python microphone.py

Ends with status 2 where there is no microphone, or no sounddevice.
"""

import argparse
import sys

from cartesia_stt_sync import Transcriber

RATE = 16000
BLOCK = RATE // 10


def listen() -> None:
    try:
        import sounddevice as sd
    except (ImportError, OSError) as exc:  # OSError: its PortAudio library is missing
        print(f"no sounddevice: {exc}; pip install sounddevice", file=sys.stderr)
        sys.exit(2)
    try:
        microphone = sd.RawInputStream(
            samplerate=RATE, channels=1, dtype="int16", blocksize=BLOCK
        )
    except (sd.PortAudioError, ValueError) as exc:
        print(f"no microphone: {exc}", file=sys.stderr)
        sys.exit(2)
    with Transcriber(
        sample_rate=RATE,
        on_final=lambda delta: print(delta.text, end="", flush=True),
    ) as t:
        print("Speak; Ctrl-C ends.", file=sys.stderr)
        try:
            with microphone:
                while True:
                    audio, overflowed = microphone.read(BLOCK)
                    if overflowed:
                        print("(some audio was lost)", file=sys.stderr)
                    t.feed(audio)
        except KeyboardInterrupt:
            pass  # leaving the block waits for the last word
    print()


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    listen()

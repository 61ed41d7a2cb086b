"""Push to talk: Enter begins an utterance, Enter ends it, and its text is there.

    python push_to_talk.py               speak into the microphone
    python push_to_talk.py speech.wav    each Enter says what is in the file

Ctrl-C ends. The microphone needs sounddevice; the program
ends with status 2 where there is none.
"""

import argparse
import sys
import threading

from cartesia_stt_sync import Transcriber, WavReader

RATE = 16000
BLOCK = RATE // 10


def say_file(t: Transcriber, path: str) -> None:
    with WavReader(path) as wav:
        for block in wav:
            t.feed(block)


def say_microphone(t: Transcriber) -> None:
    import sounddevice as sd

    released = threading.Event()

    def record() -> None:
        with sd.RawInputStream(
            samplerate=RATE, channels=1, dtype="int16", blocksize=BLOCK
        ) as microphone:
            while not released.is_set():
                t.feed(microphone.read(BLOCK)[0])
            for _ in range(2):  # sound comes late: the last syllable is on its way
                t.feed(microphone.read(BLOCK)[0])

    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        input("Listening. Enter to end. ")
    finally:
        released.set()
        recorder.join()


def main(path: str | None) -> None:
    source = None
    if path is not None:
        with WavReader(path) as wav:
            source = wav.format
    rate = RATE if source is None else source.sample_rate
    # One session for all utterances: between them it costs next to nothing.
    with Transcriber(source=source, sample_rate=rate) as t:
        try:
            while True:
                input("Enter to talk. ")
                if path is None:
                    say_microphone(t)
                else:
                    say_file(t, path)
                # Queued behind the audio, so nothing said is cut off. There is no
                # need to wait for a pause: finalize says that the speaker is done.
                print(t.finalize().result(timeout=30).strip(), flush=True)
        except (EOFError, KeyboardInterrupt):
            pass  # the block's end gets the last words
    print()


def check_microphone() -> None:
    try:
        import sounddevice as sd

        sd.check_input_settings(samplerate=RATE, channels=1, dtype="int16")
    except Exception as exc:  # ImportError, or one of PortAudio's many
        print(f"no microphone ({exc}); name a WAV file instead", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", help="a WAV file, in place of a microphone")
    options = parser.parse_args()
    if options.file is None:
        check_microphone()
    main(options.file)

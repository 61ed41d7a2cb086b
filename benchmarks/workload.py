"""What a client's process does: one job, told as JSON, and figures as JSON at its end.

``streams``: hold so many streams at real time for so long; CPU of this process alone,
for so many seconds in which all of them are at it: neither starting, nor connecting,
nor closing is in it. ``finalize``, ``connect``, ``memory``:
see the functions. The clock is read by the callback, in which nothing else happens.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import statistics
import sys
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

import attrs

from .clients import load
from .clients.base import PATIENCE, Client, Target
from .clients.ours import Ours
from .processes import raise_limits
from .wire import CHUNK, now

A_SECOND = 100
"""Streams that begin in a second, at most."""

WARM_UP = 5
"""Chunks on a stream of its own, so that what is imported late is there."""

LEAD = 0.3
"""Seconds from starting threads to the first chunk."""

GRACE = 0.1
"""Seconds after the last chunk in which its event comes."""

PAUSE = 0.01
"""Seconds in which all threads of an idle stream go to sleep."""


class Ears:
    """What was heard, and how long after the server had sent it."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.seconds = array("d")
        self.at = array("q")

    def __call__(self, number: int, text: str) -> None:
        """Note one transcript."""
        came = now()
        self.at.append(came)
        self.seconds.append((came - int(text)) / 1e9)
        self.counts[number] = self.counts.get(number, 0) + 1

    def lost(self, numbers: range, count: int) -> int:
        """How many of so many events a stream have not come."""
        return sum(max(0, count - self.counts.get(number, 0)) for number in numbers)

    def clear(self) -> None:
        """Forget all."""
        self.counts.clear()
        del self.seconds[:], self.at[:]


@attrs.frozen
class Used:
    """What all threads of this process have used: seconds of CPU, and switches.

    A switch is a thread that gives up its processor to wait for something.
    """

    cpu: float
    switches: int

    @classmethod
    def now(cls) -> Used:
        """Until now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(used.ru_utime + used.ru_stime, used.ru_nvcsw)

    def since(self, before: Used) -> Used:
        """The difference."""
        return Used(self.cpu - before.cpu, self.switches - before.switches)


def sleep_until(moment: float) -> None:
    """Sleep on the monotonic clock."""
    time.sleep(max(0.0, moment - time.monotonic()))


def spread(
    numbers: range, begin: float, a_second: float = A_SECOND
) -> dict[int, float]:
    """When each stream begins: so many of them a second, as calls do.

    Once all have begun, their chunks share a chunk's length evenly.
    """
    waves = max(1, math.ceil(len(numbers) / (a_second * CHUNK)))
    return {
        number: begin + CHUNK * (i % waves + i / len(numbers))
        for i, number in enumerate(numbers)
    }


@attrs.frozen
class Talk:
    """What was sent, and what that used.

    Attributes:
        begins: When each stream began.
        window: From when to when CPU was counted: all were at it.
        used: In that time.
        count: Chunks of each stream.
    """

    begins: dict[int, float]
    window: tuple[float, float]
    used: Used
    count: int


def talk(
    client: Client,
    numbers: range,
    seconds: float,
    ears: Ears,
    settle: float = 0.0,
    a_second: float = A_SECOND,
) -> Talk:
    """Send so much on these streams, from ``settle`` seconds after all have begun on.

    Who begins first also goes on until then, and who begins last ends later.
    """
    begin = time.monotonic() + LEAD
    begins = spread(numbers, begin, a_second)
    counted = max(begins.values()) - CHUNK * (1 - 1 / len(numbers)) + settle
    count = round((counted - begin + seconds) / CHUNK)
    client.start(begins, count)
    sleep_until(counted - PAUSE)
    before = Used.now()
    sleep_until(counted + seconds + GRACE)
    used = Used.now().since(before)
    # Only where the machine is too slow does it take much longer.
    deadline = max(begins.values()) + count * CHUNK + PATIENCE
    while ears.lost(numbers, count) and time.monotonic() < deadline:
        time.sleep(GRACE)
    client.wait()
    return Talk(begins, (counted, counted + seconds), used, count)


def streams(client: Client, ears: Ears, job: dict[str, Any]) -> dict[str, Any]:
    """Hold streams at real time."""
    many = job["streams"]
    for number in range(many + 1):
        client.connect(number)
    talk(client, range(many, many + 1), WARM_UP * CHUNK, ears)
    ears.clear()
    gc.collect()
    held = talk(client, range(many), job["seconds"], ears, job["settle"])
    first, last = (1e9 * moment for moment in held.window)
    result = {
        "begin": {number: moment * 1e9 for number, moment in held.begins.items()},
        "window": [first, last],
        "count": held.count,
        "cpu": held.used.cpu,
        "switches": held.used.switches,
        "to_callback": [
            seconds
            for at, seconds in zip(ears.at, ears.seconds, strict=True)
            if first <= at < last
        ],
        "lost": ears.lost(range(many), held.count),
        "threads": threading.active_count(),
        "findings": _findings(client),
    }
    client.close()
    return result


def finalize(client: Client, ears: Ears, job: dict[str, Any]) -> dict[str, Any]:
    """Call ``finalize`` on a stream whose threads sleep, again and again."""
    client.connect(0)
    talk(client, range(1), WARM_UP * CHUNK, ears)
    called = []
    for _ in range(job["times"]):
        time.sleep(PAUSE)
        called.append(now())
        client.finalize(0)
    client.close()
    return {"called": called}


def iterator(client: Client, ears: Ears, job: dict[str, Any]) -> dict[str, Any]:
    """From the callback of a delta to who iterates over `Transcriber.finals`."""
    assert isinstance(client, Ours)
    client.connect(0)
    arrived = array("q")

    def iterate() -> None:
        for _ in client.streams[0].finals():
            arrived.append(now())

    thread = threading.Thread(target=iterate)
    thread.start()
    talk(client, range(1), (WARM_UP + job["times"]) * CHUNK, ears)
    client.close()
    thread.join()
    pairs = list(zip(ears.at, arrived, strict=True))[WARM_UP:]
    return {"hand_over": [(there - here) / 1e9 for here, there in pairs]}


def connect(make: Callable[[], Client], job: dict[str, Any]) -> dict[str, Any]:
    """Open one stream after the other; the first is with what is made only once."""
    times = []
    began = time.perf_counter()
    client = make()
    for number in range(job["times"]):
        client.connect(number)
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
    client.close()
    return {"first": times[0], "next": statistics.median(times[1:])}


def memory(client: Client, ears: Ears, job: dict[str, Any]) -> dict[str, Any]:
    """What one more stream takes: the slope between few and many."""
    looks = []
    few, many = job["few"], job["many"]
    for numbers in (range(few), range(few, many)):
        for number in numbers:
            client.connect(number)
        # All at once, so that all are of one age when it is looked at.
        talk(client, numbers, WARM_UP * CHUNK, ears, a_second=math.inf)
        gc.collect()
        looks.append(rss())
    client.close()
    return {"bytes": (looks[1] - looks[0]) / (many - few)}


def rss() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _findings(client: Client) -> list[str]:
    made = client.streams.values() if isinstance(client, Ours) else ()
    return sorted({finding.code for t in made for finding in t.findings})


JOBS = {
    "streams": streams,
    "finalize": finalize,
    "iterator": iterator,
    "memory": memory,
}


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    raise_limits(job.get("streams", 0))
    kind, ears = load(job["client"]), Ears()
    target = Target(job["scheme"], job["port"])
    if job["what"] == "connect":
        return connect(lambda: kind(target, ears), job)
    return JOBS[job["what"]](kind(target, ears), ears, job)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))), flush=True)
    os._exit(0)  # whatever threads a peer leaves

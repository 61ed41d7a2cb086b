"""One connection over a real socket, plain and TLS, against a server of our own."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from cartesia_stt_sync import ConnectError, ConnectionLost, ProtocolError
from cartesia_stt_sync._dial import Dialer
from cartesia_stt_sync._pipe import PolledPipe
from cartesia_stt_sync._transport import ServerClosed, Taken, WebsocketTransport

from .conftest import Tls
from .peer import LIMIT, Connection, Handler, Peer, silent


@pytest.fixture(params=["plain", "tls"])
def secure(request: pytest.FixtureRequest, tls: Tls) -> Tls | None:
    """Run a test both ways."""
    return tls if request.param == "tls" else None


def connect(
    peer: Peer,
    secure: Tls | None = None,
    *,
    io_timeout: float | None = LIMIT,
    max_message: int = 1 << 16,
) -> WebsocketTransport:
    """Open a connection to a peer."""
    dialer = Dialer(
        url=peer.url + "/stt/websocket?model=ink-2",
        headers=lambda: {"Authorization": "Bearer sk_test"},
        secret=lambda: "sk_test",
        timeout=LIMIT,
        proxy=None,
        ssl_context=secure.client if secure else None,
    )
    transport = WebsocketTransport(
        dialer, io_timeout=io_timeout, max_message=max_message
    )
    transport.request_id = transport.open()  # type: ignore[attr-defined]  # for the test
    return transport


@pytest.fixture
def closing() -> Iterator[list[WebsocketTransport]]:
    """Close what a test opens, however it ends."""
    opened: list[WebsocketTransport] = []
    yield opened
    for transport in opened:
        transport.close()


def serve(handler: Handler, secure: Tls | None = None) -> Peer:
    """Make a peer."""
    return Peer(handler, tls=secure.server if secure else None)


def test_messages_go_both_ways(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """Audio is binary, commands are text, and what comes back is whole."""
    got: list[tuple[int, bytes]] = []

    def handler(peer: Connection) -> None:
        peer.accept("X-Request-Id: req-7")
        got.extend(peer.read() for _ in range(4))
        peer.send("x" * 70_000)
        peer.send("hello")
        peer.send_close(1000, "bye")
        got.append(peer.read())

    with serve(handler, secure) as server:
        transport = connect(server, secure, max_message=1 << 17)
        closing.append(transport)
        assert transport.request_id == "req-7"  # type: ignore[attr-defined]  # set above
        transport.send(b"")
        transport.send(b"\1\2\3")
        transport.send("finalize")
        transport.send(bytes(range(256)) * 300)
        assert transport.recv() == b"x" * 70_000
        assert transport.recv() == b"hello"
        assert transport.recv() == ServerClosed(1000, "bye")
    assert got[:3] == [(2, b""), (2, b"\1\2\3"), (1, b"finalize")]
    assert got[3] == (2, bytes(range(256)) * 300)
    assert got[4] == (8, b"\x03\xe8"), "the close frame is echoed"


def test_the_handshake(closing: list[WebsocketTransport]) -> None:
    """The key goes in a header; there is no Origin, for this is no browser."""

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.send_close(1000)
        peer.until_gone()

    with serve(handler) as server:
        closing.append(connect(server))
        closing[0].recv()
        closing[0].close()
    request = server.requests[0].decode()
    assert request.startswith("GET /stt/websocket?model=ink-2 HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer sk_test\r\n" in request
    assert "\r\nUser-Agent: cartesia-stt-sync/" in request
    assert "Origin" not in request


def test_one_byte_at_a_time(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """However the bytes are cut, the messages are the same."""

    def handler(peer: Connection) -> None:
        peer.accept()
        frames = b"\x81\x02hi" + b"\x89\x01p" + b"\x01\x03abc" + b"\x80\x03def"
        for byte in frames + b"\x88\x02\x03\xe8":
            peer.sock.sendall(bytes([byte]))
        peer.until_gone()

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        assert transport.recv() == b"hi"
        assert transport.recv() == b"abcdef"
        assert transport.recv() == ServerClosed(1000, "")
        transport.close()


def test_pings_are_answered(closing: list[WebsocketTransport]) -> None:
    """Also between the fragments of a message."""
    got: list[tuple[int, bytes]] = []

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.send(b"", 10)  # a pong nobody asked for
        peer.send("first ", 1, fin=False)
        peer.send(b"are you there", 9)
        peer.send("second", 0)
        got.append(peer.read())
        peer.send_close(1000)
        peer.until_gone()

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        assert transport.recv() == b"first second"
        transport.recv()
        transport.close()
    assert got == [(10, b"are you there")]


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), "1,099,511,627,776 bytes"),
        (b"\x81\x80\0\0\0\0", "masked"),
        (b"\xc1\x00", "reserved"),
        (b"\x83\x00", "unknown opcode"),
        (b"\x80\x00", "continuation"),
        (b"\x09\x00", "control frame"),
    ],
)
def test_a_peer_that_breaks_the_rules(
    frame: bytes, what: str, closing: list[WebsocketTransport]
) -> None:
    """What RFC 6455 forbids, and what would eat the memory, is refused at once."""

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.sock.sendall(frame)
        peer.until_gone()

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        with pytest.raises(ProtocolError, match=what):
            transport.recv()
        transport.close()


def test_endless_fragments_are_bounded(closing: list[WebsocketTransport]) -> None:
    """The limit holds for a message, however many frames it comes in."""

    def handler(peer: Connection) -> None:
        peer.accept()
        try:
            peer.send(b"x" * 1000, 1, fin=False)
            while True:
                peer.send(b"x" * 1000, 0, fin=False)
        except OSError:
            return

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        with pytest.raises(ProtocolError, match="max_message=65,536"):
            transport.recv()
        transport.close()


@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_end_without_a_word(
    how: str, secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """A connection that just ends is lost, with the code that means so."""

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.send("x")
        peer.read()
        if how == "reset":
            linger = b"\1\0\0\0\0\0\0\0"
            peer.sock.setsockopt(1, 13, linger)  # SO_LINGER: close() resets

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        assert transport.recv() == b"x"
        transport.send("finalize")
        with pytest.raises(ConnectionLost) as caught:
            transport.recv()
        assert caught.value.close_code == 1006
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_abort_wakes_the_reader(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """A thread blocked in recv is free at once."""
    with serve(silent, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        caught: list[BaseException] = []
        entered = threading.Event()

        def reading() -> None:
            entered.set()
            try:
                transport.recv()
            except ConnectionLost as exc:
                caught.append(exc)

        thread = threading.Thread(target=reading)
        thread.start()
        assert entered.wait(LIMIT)
        transport.abort()
        thread.join(LIMIT)
        assert len(caught) == 1
        transport.close()
        transport.close()
        for call in (transport.recv, lambda: transport.send(b"x")):
            with pytest.raises(ConnectionLost, match="closed"):
                call()


def test_abort_wakes_the_writer(closing: list[WebsocketTransport]) -> None:
    """A thread blocked in send, because the peer does not read, is free at once."""
    leave = threading.Event()

    def handler(peer: Connection) -> None:
        peer.accept()
        assert leave.wait(LIMIT)

    with serve(handler) as server:
        transport = connect(server, io_timeout=None)
        closing.append(transport)
        caught: list[BaseException] = []
        blocked = threading.Event()

        def writing() -> None:
            try:
                while True:
                    transport.send(bytes(1 << 20))
                    blocked.set()
            except ConnectionLost as exc:
                caught.append(exc)

        thread = threading.Thread(target=writing)
        thread.start()
        assert blocked.wait(LIMIT)
        transport.abort()
        thread.join(LIMIT)
        leave.set()
        assert len(caught) == 1
        transport.close()


def test_abort_ends_a_flood(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """A peer that never stops sending does not keep the reader after an abort."""

    def handler(peer: Connection) -> None:
        peer.accept()
        try:
            while True:
                peer.send("x" * 60000)
        except OSError:
            return

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        transport.recv()
        transport.abort()
        with pytest.raises(ConnectionLost):
            for _ in range(1000):
                transport.recv()
        transport.close()


@pytest.mark.parametrize("last", ["event", "close"])
def test_a_stuck_writer_does_not_keep_the_reader(
    last: str, closing: list[WebsocketTransport]
) -> None:
    """A ping or a close frame is not answered at the price of reading on."""
    leave = threading.Event()

    def handler(peer: Connection) -> None:
        peer.accept()
        assert blocked.wait(LIMIT)
        peer.send(b"ping", 9)
        if last == "event":
            peer.send("error")
        else:
            peer.send_close(1011)
        assert leave.wait(LIMIT)

    blocked = threading.Event()
    with serve(handler) as server:
        transport = connect(server, io_timeout=None)
        closing.append(transport)

        def writing() -> None:
            with pytest.raises(ConnectionLost):
                for _ in range(1000):
                    transport.send(bytes(1 << 20))
                    blocked.set()

        thread = threading.Thread(target=writing)
        thread.start()
        got = transport.recv()
        assert got == (b"error" if last == "event" else ServerClosed(1011, ""))
        transport.abort()
        leave.set()
        thread.join(LIMIT)
        transport.close()


def test_a_pong_left_undone_goes_with_the_next_message(
    closing: list[WebsocketTransport],
) -> None:
    """What the reader could not send, the sender does."""
    got: list[tuple[int, bytes]] = []

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.send(b"one", 9)
        peer.send(b"two", 9)
        peer.send("after")
        got.extend(peer.read() for _ in range(2))
        peer.send_close(1000)
        peer.until_gone()

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        with transport._write:  # as if a message were on its way
            assert transport.recv() == b"after"
        transport.send("finalize")
        assert transport.recv() == ServerClosed(1000, "")
        transport.close()
    assert got == [(1, b"finalize"), (10, b"two")], "only the latest need be answered"


@pytest.mark.parametrize("way", ["recv", "take"])
def test_cut_in_a_flood(
    way: str, secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """Who ends it does not wait until all of a flood has been read."""
    sent = threading.Event()

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.sock.sendall(b"\x89\x01p" * 1000)
        sent.set()
        peer.until_gone()

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        assert sent.wait(LIMIT)
        transport.abort()
        if way == "recv":
            with pytest.raises(ConnectionLost, match="in a flood"):
                transport.recv()
        else:
            (end,) = taken(transport, 1)
            assert isinstance(end, ConnectionLost)
            assert "in a flood" in str(end)
        transport.close()


def test_a_breath_in_a_flood(
    closing: list[WebsocketTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads one leaves the interpreter to others for as long as it has it."""
    breaths: list[float] = []
    monkeypatch.setattr("cartesia_stt_sync._transport.time.sleep", breaths.append)

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.sock.sendall(b"\x89\x01p" * 50_000)  # in more than one read
        peer.send("end of it")
        peer.until_gone()

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        assert transport.recv() == b"end of it"
        transport.close()
    assert breaths
    assert all(0 <= seconds <= 0.1 for seconds in breaths)


class Deaf(PolledPipe):
    """A socket that still reads, and cannot write any more."""

    def write_now(self, data: memoryview | bytes) -> int:
        raise BrokenPipeError


def test_the_last_words_of_a_peer_that_is_gone(
    closing: list[WebsocketTransport],
) -> None:
    """A pong that cannot be sent throws away nothing that was read."""

    def handler(peer: Connection) -> None:
        peer.accept()
        frames = b"\x89\x01p" + b"\x81\x05error" + b"\x88\x02\x03\xf0"
        peer.sock.sendall(frames)
        peer.until_gone()

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        assert transport._pipe is not None
        transport._pipe = Deaf(transport._pipe.sock)
        assert transport.recv() == b"error"
        assert transport.recv() == ServerClosed(1008, "")
        transport.close()


class Slow:
    """A socket with gevent's word for being full: nothing sent, and no exception."""

    refusals = 3

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, data: bytes) -> int:
        if self.refusals:
            self.refusals -= 1
            return 0
        return self.sock.send(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self.sock, name)


def test_a_send_of_nothing_is_waited_for(closing: list[WebsocketTransport]) -> None:
    """It is no progress: the thread waits, and sends the same again."""
    got: list[tuple[int, bytes]] = []

    def handler(peer: Connection) -> None:
        peer.accept()
        got.append(peer.read())
        peer.until_gone()

    with serve(handler) as server:
        transport = connect(server)
        closing.append(transport)
        assert transport._pipe is not None
        slow = Slow(transport._pipe.sock)
        transport._pipe = PolledPipe(slow)  # type: ignore[arg-type]  # for the test
        transport.send("finalize")
        transport.close()
    assert got == [(1, b"finalize")]
    assert not slow.refusals


def test_a_send_that_takes_too_long(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """A peer that does not read ends in a loss that says so."""
    leave = threading.Event()

    def handler(peer: Connection) -> None:
        peer.accept()
        assert leave.wait(LIMIT)

    with serve(handler, secure) as server:
        transport = connect(server, secure, io_timeout=0.1)
        closing.append(transport)
        with pytest.raises(ConnectionLost, match=r"io_timeout=0\.1 s"):
            for _ in range(1000):
                transport.send(bytes(1 << 16))
        leave.set()
        transport.close()


def test_abort_before_and_while_opening() -> None:
    """An abort is not forgotten because it comes early."""
    with serve(silent) as server:
        dialer = Dialer(
            url=server.url,
            headers=dict,
            secret=lambda: "k",
            timeout=None,
            proxy=None,
            ssl_context=None,
        )
        transport = WebsocketTransport(dialer, io_timeout=1, max_message=1000)
        transport.abort()
        with pytest.raises(ConnectError, match="aborted"):
            transport.open()
        transport.close()


# Without any wait


def settled(transport: WebsocketTransport, *, write: bool = False) -> None:
    """Return once its socket can be read, or written."""
    ends = [transport.fileno()]
    select.select([] if write else ends, ends if write else [], [], LIMIT)


def taken(transport: WebsocketTransport, count: int) -> list[Taken]:
    """So many of what comes."""
    got = transport.take()
    while len(got) < count:
        settled(transport)
        got += transport.take()
    return got


def test_taking_what_has_come(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """All messages there are, pings answered; nothing where nothing has come."""
    go = threading.Event()
    got: list[tuple[int, bytes]] = []

    def handler(peer: Connection) -> None:
        peer.accept()
        assert go.wait(LIMIT)
        peer.sock.sendall(b"\x81\x01a" + b"\x89\x01p" + b"\x81\x01b")
        peer.send("x" * 200_000)
        got.append(peer.read())
        got.append(peer.read())
        peer.send_close(1000, "bye")
        peer.send("what comes after it")
        got.append(peer.read())
        peer.until_gone()

    with serve(handler, secure) as server:
        transport = connect(server, secure, max_message=1 << 18)
        closing.append(transport)
        assert transport.take() == []
        go.set()
        assert taken(transport, 3) == [b"a", b"b", b"x" * 200_000]
        assert transport.begin("finalize")
        assert taken(transport, 1) == [ServerClosed(1000, "bye")]
        transport.close()
        assert transport.fileno() == -1
    assert got == [(10, b"p"), (1, b"finalize"), (8, b"\x03\xe8")]


@pytest.mark.parametrize("how", ["recv", "take"])
@pytest.mark.parametrize("cut", [None, 1, 20])
def test_what_comes_with_the_handshake(
    how: str, cut: int | None, secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """A server may say something in the same breath; and be cut off in the middle."""
    frames = b"\x81\x05early" + b"\x89\x01p" + b"\x81\x7e\x01\x2c" + b"x" * 300
    got: list[tuple[int, bytes]] = []

    def handler(peer: Connection) -> None:
        sock, whole = peer.sock, bytearray()

        class Collect:
            """A socket that sends later."""

            def recv(self, size: int) -> bytes:
                return sock.recv(size)

            def sendall(self, data: bytes) -> None:
                whole.extend(data)

        peer.sock = Collect()  # type: ignore[assignment]  # for the handshake
        peer.accept()
        peer.sock = sock
        sock.sendall(whole + frames[:cut])
        peer.send_close(1000) if cut is None else got.append(peer.read())
        if cut is not None:
            sock.sendall(frames[cut:])
            peer.send_close(1000)
        peer.until_gone()

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        if cut is not None:
            assert transport.begin("go")
        if how == "recv":
            heard: list[Taken] = [transport.recv() for _ in range(3)]
        else:
            heard = taken(transport, 3)
        assert heard == [b"early", b"x" * 300, ServerClosed(1000, "")]
        transport.close()
    assert got == ([] if cut is None else [(1, b"go")])


@pytest.mark.parametrize("how", ["end", "rules"])
def test_taking_the_end(
    how: str, secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """It comes last, behind what was said before."""

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.send("last")
        if how == "rules":
            peer.sock.sendall(b"\x83\x00")
            peer.until_gone()

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        word, end = taken(transport, 2)
        assert word == b"last"
        assert isinstance(end, ConnectionLost if how == "end" else ProtocolError)
        transport.close()
        for call in (transport.flush, lambda: transport.begin(b"x")):
            with pytest.raises(ConnectionLost, match="closed"):
                call()
        assert isinstance(transport.take()[0], ConnectionLost)


def test_beginning_what_does_not_fit(
    secure: Tls | None, closing: list[WebsocketTransport]
) -> None:
    """The rest is flushed as there is room for it; a pong that was due goes behind."""
    read = threading.Event()
    got: list[tuple[int, bytes]] = []
    whole = bytes(range(256)) * (1 << 16)  # 16 MiB: more than any socket's buffers

    def handler(peer: Connection) -> None:
        peer.accept()
        peer.send(b"?", 9)
        peer.send("pinged")
        assert read.wait(LIMIT)
        got.extend(peer.read() for _ in range(2))
        peer.until_gone()

    with serve(handler, secure) as server:
        transport = connect(server, secure)
        closing.append(transport)
        assert not transport.begin(whole)
        assert not transport.flush()
        assert taken(transport, 1) == [b"pinged"]
        read.set()
        while not transport.flush():
            settled(transport, write=True)
        transport.abort()
        transport.close()
    assert got == [(2, whole), (10, b"?")]

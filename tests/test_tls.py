"""TLS: both directions at full speed, and only the right server gets the key."""

from __future__ import annotations

import gc
import inspect
import socket
import ssl
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import trustme

from cartesia_stt_sync import (
    CartesiaSTTError,
    ConfigError,
    ConnectError,
    Transcriber,
    _tls,
)
from cartesia_stt_sync._dial import Dialer
from cartesia_stt_sync._tls import Secured, default_ssl_context
from cartesia_stt_sync._transport import ServerClosed, WebsocketTransport
from cartesia_stt_sync.server import LocalServer

from .peer import LIMIT, Connection, Peer

KEY = "sk_car_0123456789abcdef"

MESSAGES = 6000
"""How many go each way on a saturated connection."""

CHUNK = 3200
"""Bytes of each of the client's: 100 ms."""

FRAME = 2 + 2 + 4 + CHUNK  # a head, an extended length and a mask before the chunk

TAIL = b"x" * 300


class Authority:
    """An authority, and both ends' contexts."""

    def __init__(self) -> None:
        self.root = trustme.CA()

    def server(self, *names: str, **options: Any) -> ssl.SSLContext:
        """A server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.root.issue_cert(*names, **options).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """A client that trusts this authority."""
        context = ssl.create_default_context()
        self.root.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One for all tests here."""
    return Authority()


# Saturation


class Saturated:
    """A peer that reads and writes as fast as it can, on one thread.

    One thread, because this end must not lose what it is to find lost.
    """

    def __init__(self) -> None:
        self.received = bytearray()

    def __call__(self, peer: Connection) -> None:
        peer.accept()
        texts = (f"event {number} ".encode() + TAIL for number in range(MESSAGES))
        view = memoryview(
            b"".join(b"\x81\x7e" + len(t).to_bytes(2, "big") + t for t in texts)
        )
        peer.sock.settimeout(0)
        deadline = time.monotonic() + 3 * LIMIT
        goal = MESSAGES * FRAME
        while (view or len(self.received) < goal) and time.monotonic() < deadline:
            try:
                self.received += peer.sock.recv(1 << 18)
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            try:
                if view:
                    view = view[peer.sock.send(view[:16384]) :]
            except (ssl.SSLWantWriteError, BlockingIOError):
                pass
        assert len(self.received) == goal
        peer.sock.settimeout(LIMIT)
        peer.send_close(1000)
        peer.until_gone()

    def chunks(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The chunks that came, unmasked, one to a row."""
        frames = np.frombuffer(self.received, np.uint8).reshape(MESSAGES, FRAME)
        assert (frames[:, :4] == (0x82, 0xFE, CHUNK >> 8, CHUNK & 255)).all()
        masks = np.tile(frames[:, 4:8], CHUNK // 4)
        chunks: np.ndarray[Any, np.dtype[np.uint8]] = frames[:, 8:] ^ masks
        return chunks


class Watched(ssl.SSLSocket):
    """Notes when two threads are in one SSL object at the same time.

    OpenSSL's objects must not be used so. It goes well nearly always, and then it
    does not; so it is this that is watched, beside what arrives.
    """

    met = 0

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        return self._alone(super().recv, buflen)  # type: ignore[no-any-return]  # bytes

    def send(self, data: Any, flags: int = 0) -> int:
        return self._alone(super().send, data)  # type: ignore[no-any-return]  # an int

    def _alone(self, call: Callable[[Any], Any], argument: Any) -> Any:
        inside: threading.Lock = self.__dict__.setdefault("inside", threading.Lock())
        alone = inside.acquire(blocking=False)
        if not alone:
            Watched.met += 1
        try:
            return call(argument)
        finally:
            if alone:
                inside.release()


def saturate(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Fill one connection both ways; return its TLS version once nothing was lost."""
    far = Saturated()
    with Peer(far, tls=server) as peer:
        dialer = Dialer(
            url=peer.url,
            headers=dict,
            secret=lambda: KEY,
            timeout=LIMIT,
            proxy=None,
            ssl_context=client,
        )
        transport = WebsocketTransport(dialer, io_timeout=LIMIT, max_message=1 << 16)
        try:
            transport.open()
            version = str(transport._pipe.sock.version())  # type: ignore[union-attr]  # TLS

            def send() -> None:
                for number in range(MESSAGES):
                    transport.send(number.to_bytes(4, "big") * (CHUNK // 4))

            sender = threading.Thread(target=send)
            sender.start()
            got = [transport.recv() for _ in range(MESSAGES)]
            assert isinstance(transport.recv(), ServerClosed)
            sender.join(LIMIT)
        finally:
            transport.close()
    assert got == [f"event {number} ".encode() + TAIL for number in range(MESSAGES)]
    numbers = far.chunks().view(">u4")
    assert (numbers == np.arange(MESSAGES, dtype=">u4")[:, np.newaxis]).all()
    return version


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_saturated_both_ways(
    version: str, authority: Authority, figure: Callable[[str], None]
) -> None:
    """Two threads on one SSL object, at full speed: nothing is lost, and none meet."""
    client = authority.client()
    client.sslsocket_class = Watched
    Watched.met = 0
    client.maximum_version = client.minimum_version = ssl.TLSVersion[
        version.replace(".", "_")
    ]
    server = authority.server("localhost")
    connections, at_once = 8, 4
    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        waiting = [pool.submit(saturate, server, client) for _ in range(connections)]
        versions = [future.result() for future in waiting]
    assert versions == [version] * connections
    assert Watched.met == 0
    figure(
        f"{version}: {connections} connections, {at_once} at once, each {MESSAGES} "
        f"messages out and {MESSAGES} in: none lost, {time.monotonic() - began:.1f} s, "
        f"Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}"
    )


# Who is heard


def expired(authority: Authority) -> ssl.SSLContext:
    """A day too old."""
    now = datetime.now(timezone.utc)
    return authority.server(
        "localhost",
        not_before=now - timedelta(days=2),
        not_after=now - timedelta(days=1),
    )


def named_otherwise(authority: Authority) -> ssl.SSLContext:
    """Good, for other names."""
    return authority.server("other.example", "127.0.0.1", "*.localhost")


def self_signed(authority: Authority) -> ssl.SSLContext:
    """Vouched for by itself."""
    lone = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = lone.private_key_pem.bytes() + lone.cert_pem.bytes()
    with trustme.Blob(pair).tempfile() as path:
        context.load_cert_chain(path)
    return context


def of_a_stranger(authority: Authority) -> ssl.SSLContext:
    """Vouched for by an authority that nobody knows."""
    return Authority().server("localhost")


def without_the_intermediate(authority: Authority) -> ssl.SSLContext:
    """Vouched for by way of an authority that is not shown."""
    leaf = authority.root.create_child_ca().issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()
    with trustme.Blob(pair).tempfile() as path:
        context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (expired, "certificate has expired"),
        (named_otherwise, "Hostname mismatch.*'localhost'"),
        (self_signed, "self.signed certificate"),
        (of_a_stranger, "unable to get local issuer certificate|self.signed"),
        (without_the_intermediate, "unable to get local issuer certificate"),
    ],
)
def test_the_wrong_server_is_refused(
    make: Callable[[Authority], ssl.SSLContext], reason: str, authority: Authority
) -> None:
    """It is told why, is not tried again, and is not sent one byte of the request."""
    seen: list[bytes] = []
    with Peer(lambda peer: seen.append(peer.read_request()), tls=make(authority)) as p:
        t = Transcriber(api_key=KEY, base_url=p.url, ssl_context=authority.client())
        with pytest.raises(ConnectError, match=reason) as caught:
            t.open()
    # Which does not help where the date or the name is wrong.
    other_authority = make not in (expired, named_otherwise)
    assert ("pass ssl_context=" in str(caught.value)) is other_authority
    assert KEY not in str(caught.value)
    assert seen == []
    assert p.requests == []


@pytest.mark.parametrize("through", ["root", "intermediate"])
def test_a_private_authority(through: str, authority: Authority) -> None:
    """One that the program trusts is trusted, also through an intermediate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    root = authority.root
    issuer = root if through == "root" else root.create_child_ca()
    issuer.issue_cert("127.0.0.1").configure_cert(context)
    with LocalServer(script=[(0.1, "Hello")], ssl_context=context) as server:
        with Transcriber(
            api_key=KEY, base_url=server.base_url, ssl_context=authority.client()
        ) as t:
            t.feed(bytes(6400))
    assert t.text == "Hello"


class TestSessions:
    """A handshake goes on from an earlier one, and only with the same server."""

    def connect(self, peer: Peer, context: ssl.SSLContext) -> None:
        """Open, and close."""
        with Transcriber(api_key=KEY, base_url=peer.url, ssl_context=context):
            pass

    @pytest.fixture
    def reused(self) -> list[bool]:
        """Whether it was so, as the server has it, for each connection."""
        return []

    @pytest.fixture
    def handler(self, reused: list[bool]) -> Callable[[Connection], None]:
        """A server that notes it."""

        def serve(peer: Connection) -> None:
            reused.append(peer.sock.session_reused)  # type: ignore[attr-defined]  # TLS
            peer.accept()
            peer.read_until("close")
            peer.send('{"type": "done"}')
            peer.send_close(1000)
            peer.until_gone()

        return serve

    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_the_same_server(
        self, version: str, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """From the second connection on, by whichever transcriber."""
        server, client = authority.server("localhost", "127.0.0.1"), authority.client()
        server.maximum_version = ssl.TLSVersion[version]
        with Peer(handler, handler, handler, tls=server) as peer:
            for _ in range(3):
                self.connect(peer, client)
        assert reused == [False, True, True]

    def test_another_context(
        self, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """It has verified nothing yet."""
        server = authority.server("localhost", "127.0.0.1")
        with Peer(handler, handler, tls=server) as peer:
            for _ in range(2):
                self.connect(peer, authority.client())
        assert reused == [False, False]

    def test_another_server(
        self, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """With the same certificate, but another port, it is asked for it."""
        server, client = authority.server("localhost", "127.0.0.1"), authority.client()
        for _ in range(2):
            with Peer(handler, tls=server) as peer:
                self.connect(peer, client)
        assert reused == [False, False]

    def test_verified_in_another_way(
        self, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """What came about without a look at the certificate spares nobody that look."""
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        server = of_a_stranger(authority)
        with Peer(handler, handler, tls=server) as peer:
            self.connect(peer, client)
            client.verify_mode, client.check_hostname = ssl.CERT_REQUIRED, True
            with pytest.raises(ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                self.connect(peer, client)
        assert reused == [False]

    def test_verified_more_closely(
        self, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """Whoever asks for more than before gets it."""
        client = authority.client()
        server = authority.server("localhost", "127.0.0.1")
        with Peer(handler, handler, tls=server) as peer:
            self.connect(peer, client)
            client.verify_flags |= (
                ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            )  # there is none
            with pytest.raises(ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                self.connect(peer, client)
        assert reused == [False]

    def test_who_was_refused(
        self, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """Perhaps for what it is by the session: then the next one begins anew."""

        def refuses(peer: Connection) -> None:
            reused.append(peer.sock.session_reused)  # type: ignore[attr-defined]  # TLS
            peer.refuse(403, b"no")

        client = authority.client()
        server = authority.server("localhost", "127.0.0.1")
        with Peer(handler, refuses, handler, tls=server) as peer:
            self.connect(peer, client)
            with pytest.raises(CartesiaSTTError):
                self.connect(peer, client)
            self.connect(peer, client)
        assert reused == [False, True, False]

    def test_a_context_that_nobody_needs(
        self, authority: Authority, handler: Any
    ) -> None:
        """It goes, and what was kept for it."""
        client = authority.client()
        gone = weakref.ref(client)
        with Peer(handler, tls=authority.server("localhost", "127.0.0.1")) as peer:
            self.connect(peer, client)
        assert _tls.sessions(client)
        del client
        gc.collect()
        assert gone() is None

    def test_a_server_that_does_not_know_it(
        self, authority: Authority, handler: Any, reused: list[bool]
    ) -> None:
        """It has started anew, say, with a key of its own: all is asked for again."""
        client = authority.client()
        with Peer(handler, handler, tls=authority.server("localhost")) as peer:
            self.connect(peer, client)
            peer._tls = authority.server("localhost")
            self.connect(peer, client)
        assert reused == [False, False]

    def test_a_failure(self, authority: Authority) -> None:
        """Nothing is kept of a handshake that did not end well."""
        client = authority.client()
        here, there = socket.socketpair()
        with there:
            secured = Secured(here, client, "localhost", 443)
            there.sendall(b"no TLS, whatever it is")
            key = secured._key
            secured._sessions[key] = None  # type: ignore[assignment]  # stands for one
            with secured.sock, pytest.raises(ssl.SSLError):
                secured.shake_hands()
            assert key not in secured._sessions

    def test_how_many(self, authority: Authority, handler: Any) -> None:
        """Those of some dozens of servers, and then they are forgotten."""
        client = authority.client()
        server = authority.server("localhost", "127.0.0.1")
        with Peer(handler, tls=server) as peer:
            self.connect(peer, client)
            kept = _tls.sessions(client)
            (session,) = kept.values()
            for number in range(_tls._MOST - 1):
                kept[number] = session
        with Peer(handler, tls=server) as peer:
            self.connect(peer, client)
        assert len(kept) == 1


def test_an_old_version_is_refused(authority: Authority) -> None:
    """The shared context speaks TLS 1.2 or newer, and asks for name and certificate."""
    context = default_ssl_context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


VALUES: tuple[Any, ...] = (
    None,
    False,
    True,
    0,
    1,
    "",
    "none",
    {},
    {"verify": False},
    (),
)
"""What somebody might try who wants no verification."""

SKIPPED = {
    "self",
    "api_key",
    "access_token",
    "base_url",
    "ssl_context",
    "proxy",
    "record",
}
"""Parameters that say who and where to; test_dial checks contexts."""


def test_no_argument_switches_verification_off(authority: Authority) -> None:
    """Whatever is passed for whichever of them, a stranger is refused."""
    names = set(inspect.signature(Transcriber.__init__).parameters) - SKIPPED
    tried = 0
    seen: list[bytes] = []
    handlers = [lambda peer: seen.append(peer.read_request())] * len(names) * 10
    with Peer(*handlers, tls=of_a_stranger(authority)) as peer:
        for name in sorted(names):
            for value in VALUES:
                options: dict[str, Any] = {name: value}
                try:
                    t = Transcriber(api_key=KEY, base_url=peer.url, **options)
                except ConfigError:
                    continue
                tried += 1
                with pytest.raises(CartesiaSTTError, match="CERTIFICATE_VERIFY_FAILED"):
                    t.open()
    assert tried > len(names) / 2
    assert seen == []

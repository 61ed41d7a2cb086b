"""Making the connection: what each refusal becomes, and that no key gets out."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import sys
import threading
import traceback
from types import TracebackType

import pytest
import trustme
import websocket

from cartesia_stt_sync import (
    AuthenticationError,
    CartesiaSTTError,
    ClosedError,
    ConfigError,
    ConnectError,
    QuotaError,
    RateLimitError,
    Transcriber,
)
from cartesia_stt_sync._proxy import check_proxy
from cartesia_stt_sync._tls import check_ssl_context, default_ssl_context

from .peer import LIMIT, Connection, Handler, Peer

KEY = "sk_car_0123456789abcdef"


def opening(peer: Peer, **options: object) -> CartesiaSTTError:
    """Open a transcriber to a peer that will not have it; return the error."""
    t = Transcriber(api_key=KEY, base_url=peer.url, **options)  # type: ignore[arg-type]  # any of them
    with pytest.raises(CartesiaSTTError) as caught:
        t.open()
    return caught.value


@pytest.mark.parametrize("how", ["chunked", "closed", "held open"])
def test_a_refusal_whose_length_is_not_told(how: str) -> None:
    """As a gateway sends it: its reason is read all the same, and not waited for."""
    body = b'{"title": "Too many", "message": "slow down", "error_code": "rate"}'

    def refuse(peer: Connection) -> None:
        peer.read_request()
        head = b"HTTP/1.1 429 No\r\nRetry-After: 7\r\n"
        if how == "chunked":
            chunks = [body[:9], body[9:]]
            data = b"".join(b"%x;q=1\r\n%s\r\n" % (len(one), one) for one in chunks)
            peer.sock.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + data[:20])
            peer.sock.sendall(data[20:] + b"0\r\n\r\n")
        else:
            peer.sock.sendall(head + b"\r\n" + body)
        if how != "closed":
            peer.until_gone()

    with Peer(refuse) as peer:
        error = opening(peer, open_timeout=LIMIT)
    assert isinstance(error, RateLimitError)
    assert (error.error_code, error.retry_after) == ("rate", 7.0)
    assert "slow down" in str(error)


@pytest.mark.parametrize("whole", [True, False])
def test_cookies_are_not_kept(whole: bool) -> None:
    """What one server asks to keep for one account is sent to no other."""
    asked: list[str | None] = []
    cookie = "Set-Cookie: sid=first; Domain=127.0.0.1\r\n folded=1"

    def answer(peer: Connection) -> None:
        if whole:
            peer.accept(cookie)
        else:
            peer.accept("X-Request-Id: r1", cookie, "X-Other: 2")
        asked.append(peer.header("Cookie"))
        peer.until_gone()

    with Peer(answer, answer) as peer:
        for _ in range(2):
            t = Transcriber(api_key=KEY, base_url=peer.url)
            t.open()
            assert t.stats.request_id == (None if whole else "r1")
            t.abort()
    assert asked == [None, None]


def test_a_key_in_another_spelling() -> None:
    """JSON has many; and a header may have it, too."""
    plain = json.dumps({"message": f"bad {KEY}", "title": KEY})
    body = plain.replace("sk_", r"\u0073k_")
    with Peer(refusing(401, body.encode(), f"X-Request-Id: {KEY}")) as peer:
        error = opening(peer)
    assert KEY not in repr([str(error), vars(error)])
    assert "bad ***" in str(error)


def refusing(status: int, body: bytes, *headers: str) -> Handler:
    """Refuse the handshake."""
    return lambda peer: peer.refuse(status, body, *headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ConnectError),
        (401, AuthenticationError),
        (402, QuotaError),
        (403, AuthenticationError),
        (404, ConnectError),
        (429, RateLimitError),
        (500, ConnectError),
        (503, ConnectError),
    ],
)
def test_refusals_are_typed(status: int, kind: type[ConnectError]) -> None:
    """Each status has its type, and what the body says goes along."""
    body = json.dumps(
        {
            "type": "error",
            "title": "Sorry",
            "message": f"no, {KEY}",
            "status_code": status,
            "error_code": "some_code",
            "doc_url": "https://docs.example/x",
            "request_id": "req-9",
        }
    ).encode()
    with Peer(refusing(status, body, "Retry-After: 3")) as peer:
        error = opening(peer)
    assert type(error) is kind
    assert isinstance(error, ConnectionError)
    assert error.status_code == status
    assert error.title == "Sorry"
    assert error.error_code == "some_code"
    assert error.doc_url == "https://docs.example/x"
    assert error.request_id == "req-9"
    assert error.retry_after == 3.0
    assert f"({status}): no, ***" in str(error)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"plain words", "plain words"),
        (b"", "no reason given"),
        (b'{"error": "oldest", "request_id": "r"}', "oldest"),
        (b"[1, 2]", "[1, 2]"),
        (b"[" * 100_000, "[[[["),
        (b"\xff\xfe", "\ufffd"),
    ],
)
def test_refusals_in_other_shapes(body: bytes, shown: str) -> None:
    """JSON of any age, plain text or garbage: the words get through, bounded."""
    with Peer(refusing(400, body, "X-Request-Id: req-h")) as peer:
        error = opening(peer)
    assert shown in str(error)
    assert len(str(error)) < 1000
    assert error.request_id in ("req-h", "r")
    assert "check model" in str(error)


def test_a_long_refusal() -> None:
    """A body of some kilobytes is JSON to its end, and read to it."""
    body = json.dumps({"pad": "-" * 20_000, "title": "No", "message": "the end"})
    with Peer(refusing(400, body.encode())) as peer:
        error = opening(peer)
    assert "the end" in str(error)


def test_redirect_is_not_followed() -> None:
    """The key would go along to wherever it points."""
    stranger = Peer(lambda peer: peer.accept())
    with stranger:
        location = f"Location: {stranger.url}/elsewhere"
        with Peer(refusing(302, b"", location)) as peer:
            error = opening(peer)
    assert error.status_code == 302
    assert "redirect" in str(error)
    assert stranger.requests == []


def test_nobody_there() -> None:
    """A closed port is a clear message, quickly."""
    with Peer() as peer:
        url = peer.url
    t = Transcriber(api_key=KEY, base_url=url)
    with pytest.raises(ConnectError, match=r"cannot connect to 127\.0\.0\.1"):
        t.open()


def test_no_such_host() -> None:
    """A name that nobody has is told as such."""
    t = Transcriber(api_key=KEY, base_url="wss://nothing.invalid")
    with pytest.raises(ConnectError, match=r"cannot connect to nothing\.invalid"):
        t.open()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 \xff\xff\r\n\r\n",
        b"",
    ],
)
def test_no_websocket_there(answer: bytes) -> None:
    """Whatever else may listen on a port is no connection."""

    def handler(peer: Connection) -> None:
        peer.read_request()
        peer.sock.sendall(answer)

    with Peer(handler) as peer:
        assert type(opening(peer)) is ConnectError


@pytest.mark.parametrize("drip", [False, True])
def test_slow_handshake(drip: bool) -> None:
    """open_timeout is for all of it, also where a byte comes now and then."""
    leave = threading.Event()

    def handler(peer: Connection) -> None:
        peer.read_request()
        try:
            for byte in b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 1000:
                if leave.wait(0.02 if drip else LIMIT):
                    return
                peer.sock.sendall(bytes([byte]))
        except OSError:
            return

    with Peer(handler) as peer:
        error = opening(peer, open_timeout=0.2)
        leave.set()
    assert "within open_timeout=0.2 s" in str(error)


def cut_when(reached: threading.Event, t: Transcriber | None) -> None:
    """Abort a transcriber, if one is given, once its peer is reached."""
    assert reached.wait(LIMIT)
    if t is not None:
        t.abort()


@pytest.mark.parametrize("stage", ["tls", "proxy", "websocket"])
def test_every_stage_is_timed_and_can_be_cut(stage: str) -> None:
    """A server that drips, or says nothing, holds up neither open nor abort."""
    for how in ("timeout", "abort"):
        reached, leave = threading.Event(), threading.Event()

        def handler(peer: Connection) -> None:
            reached.set()  # noqa: B023  # called in this round of the loop
            try:
                while not leave.wait(0.01):  # noqa: B023  # likewise
                    peer.sock.sendall(b"H")
            except OSError:
                return

        with Peer(handler) as peer:
            secure = f"wss://localhost:{peer.port}"
            t = Transcriber(
                api_key=KEY,
                base_url=peer.url if stage == "websocket" else secure,
                open_timeout=0.2 if how == "timeout" else None,
            )
            if stage == "proxy":
                t = Transcriber(
                    api_key=KEY,
                    base_url="wss://nothing.invalid",
                    proxy=peer.url.replace("ws:", "http:"),
                    open_timeout=0.2 if how == "timeout" else None,
                )
            thread = threading.Thread(
                target=cut_when, args=[reached, t if how == "abort" else None]
            )
            thread.start()
            kind = ConnectError if how == "timeout" else ClosedError
            if stage == "tls" and how == "timeout":
                kind = ConnectError  # in words of OpenSSL's: this is no TLS at all
            with pytest.raises(kind):
                t.open()
            leave.set()
            thread.join(LIMIT)


@pytest.mark.skipif(sys.platform != "linux", reason="others answer a full backlog")
def test_a_silent_address_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It gets its share of the time, and no more: as where IPv6 leads nowhere."""
    silent = [socket.socket() for _ in range(2)]
    silent[0].bind(("127.0.0.2", 0))
    silent[0].listen(0)
    silent[1].connect(silent[0].getsockname())  # the backlog is full

    def answers(connection: Connection) -> None:
        connection.accept()
        connection.until_gone()

    with Peer(answers) as peer:
        addresses = (silent[0].getsockname(), ("127.0.0.1", peer.port))
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **__: [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
                for address in addresses
            ],
        )
        t = Transcriber(api_key=KEY, base_url=peer.url, open_timeout=1.0)
        t.open()
        assert t.state == "OPEN"
        t.abort()
    for sock in silent:
        sock.close()


def test_many_addresses_leave_time_for_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow line takes as long, however many addresses a host has."""
    given: list[float] = []

    def times_out(sock: socket.socket, address: object) -> None:
        given.append(sock.gettimeout() or 0.0)
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(socket.socket, "connect", times_out)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))] * 8
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    t = Transcriber(api_key=KEY, base_url="ws://127.0.0.1:9", open_timeout=60.0)
    with pytest.raises(ConnectError):
        t.open()
    assert len(given) == 8
    assert 25.0 < given[0] <= 30.0
    assert 50.0 < given[-1] <= 60.0  # none of them took any of the time


def test_a_family_that_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its addresses are passed over, and hide no other's failure."""

    def answers(connection: Connection) -> None:
        connection.accept()
        connection.until_gone()

    with Peer(answers) as peer:
        known = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port))
        found = [(250, socket.SOCK_STREAM, 6, "", ("::1", peer.port)), known]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        url = peer.url
        t = Transcriber(api_key=KEY, base_url=url)
        t.open()
        t.abort()
    found.reverse()
    with pytest.raises(ConnectError, match="refused"):
        Transcriber(api_key=KEY, base_url=url).open()


def test_no_limit_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own time-out is told as such where there is none of ours."""

    def give_up(*args: object) -> None:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(socket.socket, "connect", give_up)
    t = Transcriber(api_key=KEY, base_url="ws://127.0.0.1:9", open_timeout=None)
    with pytest.raises(ConnectError, match="Connection timed out"):
        t.open()


def test_untrusted_certificate() -> None:
    """A server whose certificate nobody vouches for gets no key."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    seen: list[bytes] = []
    with Peer(lambda peer: seen.append(peer.read_request()), tls=server) as peer:
        error = opening(peer)
    assert "pass ssl_context=" in str(error)
    assert seen == []


def test_wrong_host_name() -> None:
    """Nor does one that is vouched for under another name."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with Peer(lambda peer: None, tls=server) as peer:
        error = opening(peer, ssl_context=client)
    assert "localhost" in str(error)


def test_a_context_that_verifies_nothing() -> None:
    """Away from this machine it would hand the key to anybody, so it is refused."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigError, match="ssl_context: one that verifies"):
        Transcriber(api_key=KEY, ssl_context=context)
    check_ssl_context(context, "wss://localhost:1")
    with pytest.raises(ConfigError, match=r"ssl_context: an ssl\.SSLContext"):
        check_ssl_context(True, "wss://localhost")
    assert default_ssl_context() is default_ssl_context()
    assert default_ssl_context().verify_mode == ssl.CERT_REQUIRED


class TestProxies:
    """A proxy is used where it was asked for, and never towards this machine."""

    def test_environment_is_not_used_for_this_machine(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key for the local server does not travel to a proxy in the clear."""
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        with Peer(refusing(401, b"reached")) as peer:
            assert "reached" in str(opening(peer))

    @pytest.mark.parametrize("how", ["argument", "environment"])
    def test_connect_goes_through(
        self, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The proxy is asked for a tunnel, with the password that was given."""
        asked: list[bytes] = []

        def proxy(peer: Connection) -> None:
            asked.append(peer.read_request())
            peer.sock.sendall(b"HTTP/1.1 407 Who are you\r\n\r\n")

        with Peer(proxy) as peer:
            url = f"http://me:p%40ss@127.0.0.1:{peer.port}"
            if how == "environment":
                monkeypatch.setenv("HTTPS_PROXY", url)
            t = Transcriber(api_key=KEY, proxy=url if how == "argument" else "env")
            with pytest.raises(ConnectError, match="407") as caught:
                t.open()
        assert asked[0].startswith(b"CONNECT api.cartesia.ai:443 HTTP/1.1\r\n")
        assert b"Basic bWU6cEBzcw==" in asked[0]  # me:p@ss
        assert KEY.encode() not in asked[0]
        assert "p@ss" not in str(caught.value)

    def test_none_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """proxy=None does not look into the environment."""
        with Peer(lambda peer: None) as peer:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{peer.port}")
            t = Transcriber(api_key=KEY, base_url="wss://nothing.invalid", proxy=None)
            with pytest.raises(ConnectError, match="nothing"):
                t.open()
        assert peer.requests == []

    def test_arguments(self) -> None:
        """Anything else is refused by name, its password unquoted."""
        assert check_proxy("env") == "env"
        assert check_proxy(None) is None
        for wrong in ("socks5://me:secret@host", "host:3128", 7):
            with pytest.raises(ConfigError, match="proxy: 'env'") as caught:
                check_proxy(wrong)
            assert "secret" not in str(caught.value)


class TestKeys:
    """The key is in the header, and nowhere else."""

    def everything(self, error: BaseException) -> str:
        """All that an error reporter would show: messages, frames and their locals."""
        shown: list[str] = []
        seen: set[int] = set()
        todo: list[BaseException | None] = [error]
        while todo:
            exc = todo.pop()
            if exc is None or id(exc) in seen:
                continue
            seen.add(id(exc))
            todo += [exc.__cause__, exc.__context__]
            shown += traceback.format_exception(exc)
            shown.append(repr(vars(exc)))
            shown += self.locals_of(exc.__traceback__)
        return "\n".join(shown)

    def locals_of(self, tb: TracebackType | None) -> list[str]:
        shown = []
        while tb is not None:
            if "/tests/" not in tb.tb_frame.f_code.co_filename:
                for value in tb.tb_frame.f_locals.values():
                    shown.append(repr(value))
                    shown.append(repr(getattr(value, "__dict__", None)))
            tb = tb.tb_next
        return shown

    def test_not_in_errors_of_the_handshake(self) -> None:
        """Not even where the server sends it back."""
        body = f"bad key {KEY}".encode()
        with Peer(refusing(401, body, f"X-Request-Id: {KEY[:3]}")) as peer:
            error = opening(peer)
        assert KEY not in self.everything(error)

    def test_not_in_errors_of_the_constructor(self) -> None:
        """A bad argument beside the key does not show the key."""
        with pytest.raises(ConfigError) as caught:
            Transcriber(api_key=KEY, sample_rate=-1)
        assert KEY not in self.everything(caught.value)
        with pytest.raises(ConfigError) as caught:
            Transcriber(api_key=KEY + "\n")
        assert KEY not in self.everything(caught.value)

    def test_not_in_the_transcriber(self) -> None:
        """repr and vars, down to the last attribute, show none."""
        t = Transcriber(api_key=KEY, base_url="ws://127.0.0.1:1")
        shown: list[str] = []
        seen: set[int] = set()
        todo: list[object] = [t]
        while todo:
            thing = todo.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            shown.append(repr(thing))
            inside = getattr(thing, "__dict__", {})
            if "cartesia_stt_sync" in type(thing).__module__:
                todo += list(inside.values())
                for name in getattr(type(thing), "__slots__", ()):
                    todo.append(getattr(thing, name, None))
        assert len(shown) > 20
        assert KEY not in "\n".join(shown)

    def test_not_in_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        """Not even in those of websocket-client with its trace switched on."""
        handler = logging.NullHandler()
        websocket.enableTrace(True, handler)
        try:
            with caplog.at_level(logging.DEBUG), Peer(refusing(401, b"no")) as peer:
                opening(peer)
        finally:
            websocket.enableTrace(False)
            logging.getLogger("websocket").removeHandler(handler)
        assert "Authorization: Bearer ***" in caplog.text
        assert KEY not in caplog.text

    def test_not_in_the_url(self) -> None:
        """The request line has the parameters and no key."""
        with Peer(refusing(401, b"no")) as peer:
            opening(peer, keyterms=["Cartesia", "text to speech"])
        line = peer.requests[0].split(b"\r\n")[0]
        assert b"keyterm=Cartesia&keyterm=text%20to%20speech" in line
        assert KEY.encode() not in line
        assert peer.requests[0].count(KEY.encode()) == 1

"""Through a real proxy on this machine: what arrives, what it sees, when it is used."""

from __future__ import annotations

import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import trustme

from cartesia_stt_sync import ConfigError, ConnectError, Reconnect, Transcriber
from cartesia_stt_sync._proxy import check_proxy, find_proxy
from cartesia_stt_sync.server import LocalServer

from .peer import LIMIT, Connection, Peer
from .proxy import ConnectProxy

KEY = "sk_car_0123456789abcdef"
HOST = "speech.example"
SCRIPT = [(0.1, "Hello"), (0.2, " world")]
AUDIO = bytes(9600)  # 0.3 s


@attrs.frozen
class Site:
    """A server that stands for one elsewhere, and how to trust it."""

    server: LocalServer
    trust: ssl.SSLContext

    @property
    def port(self) -> int:
        """Where it really is."""
        return int(self.server.base_url.rpartition(":")[2])

    def transcriber(self, **options: Any) -> Transcriber:
        """A transcriber that knows it by its made-up name."""
        return Transcriber(
            **{
                "api_key": KEY,
                "base_url": f"wss://{HOST}",
                "ssl_context": self.trust,
                **options,
            }
        )

    def proxy(self, **options: Any) -> ConnectProxy:
        """A proxy through which it can be reached."""
        names = (f"{HOST}:443", f"localhost:{self.port}", f"127.0.0.1:{self.port}")
        return ConnectProxy(dict.fromkeys(names, self.port), **options)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One server for all tests here."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost", "127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with LocalServer(script=SCRIPT, api_key=KEY, ssl_context=context) as server:
        yield Site(server, trust)


Resolver = Callable[..., Any]


@pytest.fixture(autouse=True)
def asked_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A resolver that knows this machine and the site, and lists what it was asked."""
    real: Resolver = socket.getaddrinfo
    asked: list[str] = []

    def resolve(host: str, port: int, *args: Any, **more: Any) -> Any:
        asked.append(host)
        if host == HOST:
            return real("127.0.0.1", site.port, *args, **more)
        if host not in ("localhost", "127.0.0.1"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def heard(t: Transcriber) -> str:
    """Say something, and return the text."""
    with t:
        t.feed(AUDIO)
    return t.text


def records(stream: bytes | bytearray) -> set[int]:
    """The types of the TLS records (RFC 8446, 5.1) that a stream is made of."""
    found = set()
    while stream:
        assert len(stream) >= 5, "the rest is no record"
        assert stream[1] == 3, "not a TLS version"
        size = int.from_bytes(stream[3:5], "big")
        assert len(stream) >= 5 + size, "a record breaks off"
        found.add(stream[0])
        stream = stream[5 + size :]
    return found


def shown(error: BaseException) -> str:
    """All that a report of an error would quote."""
    return "".join(traceback.format_exception(error)) + repr(vars(error))


class TestThrough:
    """A session through a proxy is a session like any other."""

    @pytest.mark.parametrize("login", ["", "me:p%40ss%3Aword"])
    @pytest.mark.parametrize("how", ["argument", "HTTPS_PROXY", "https_proxy"])
    def test_text_arrives(
        self, how: str, login: str, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever names the proxy, with a password or without."""
        with site.proxy(login="me:p@ss:word" if login else None) as proxy:
            if how == "argument":
                t = site.transcriber(proxy=proxy.url(login))
            else:
                monkeypatch.setenv(how, proxy.url(login))
                t = site.transcriber()
            assert heard(t) == "Hello world"
        assert len(proxy.asked) == len(proxy.up) == 1

    def test_no_scheme_in_the_environment(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``host:port`` is a proxy too, as curl has it."""
        with site.proxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
            assert heard(site.transcriber()) == "Hello world"
        assert len(proxy.up) == 1

    def test_the_proxy_sees_tls_and_no_key(
        self, site: Site, asked_for: list[str]
    ) -> None:
        """It learns the server's name, which is looked up there and not here."""
        with site.proxy(login="me:secret") as proxy:
            assert (
                heard(site.transcriber(proxy=proxy.url("me:secret"))) == "Hello world"
            )
        lines = proxy.asked[0].decode().split("\r\n")
        assert lines[:2] == [f"CONNECT {HOST}:443 HTTP/1.1", f"Host: {HOST}:443"]
        assert [line.split(":")[0] for line in lines[2:]] == [
            "Proxy-Authorization",
            "",
            "",
        ]
        for seen in (proxy.up[0], proxy.down[0]):
            assert records(seen) <= {20, 21, 22, 23}
            assert 23 in records(seen)  # the audio went this way, enciphered
            for secret in (KEY.encode(), b"Authorization", b"stt/websocket"):
                assert secret not in seen
        assert len(proxy.up[0]) > len(AUDIO)
        assert HOST not in asked_for

    def test_dies_in_mid_stream(self, site: Site) -> None:
        """The session goes on through the same proxy, and loses no word."""
        with site.proxy() as proxy:
            t = site.transcriber(
                proxy=proxy.url(), reconnect=Reconnect(first_delay=0.01, max_delay=0.01)
            )
            again = threading.Event()
            t.on("reconnect", lambda _: again.set())
            with t:
                assert len(proxy.up) == 1
                proxy.cut()
                assert again.wait(LIMIT)
                t.feed(AUDIO)
            assert t.text == "Hello world"
            assert t.stats.sessions == 2
        assert len(proxy.asked) == len(proxy.up) == 2
        assert proxy.asked[0] == proxy.asked[1]


@pytest.mark.parametrize("proxy", ["http://[::1", "http://h:99999", "http://h:x"])
def test_what_is_no_url(proxy: str) -> None:
    """The constructor says so, and not the first connection."""
    with pytest.raises(ConfigError, match="^proxy: "):
        check_proxy(proxy)


class TestRefused:
    """What goes wrong at a proxy is a ConnectError that says so."""

    @pytest.mark.parametrize("login", ["", "me:wr0ng"])
    def test_wrong_password(self, login: str, site: Site) -> None:
        """It names the proxy and 407; neither password nor key is in it."""
        with site.proxy(login="me:right") as proxy:
            with pytest.raises(ConnectError) as caught:
                site.transcriber(proxy=proxy.url(login)).open()
        text = str(caught.value)
        assert f"{HOST}:443 through the proxy 127.0.0.1:{proxy.port}" in text
        assert "407 Proxy Authentication Required" in text
        for secret in ("wr0ng", "bWU6d3Iwbmc=", KEY):
            assert secret not in shown(caught.value)
        assert proxy.up == []

    @pytest.mark.parametrize("echoed", ["wr0ng", "bWU6d3IwbmdAMQ=="])
    def test_a_password_that_comes_back(self, echoed: str, site: Site) -> None:
        """A proxy that repeats what it was told does not bring it into the error."""

        def handler(peer: Connection) -> None:
            peer.read_request()
            peer.sock.sendall(f"HTTP/1.1 407 not {echoed} again\r\n\r\n".encode())

        with Peer(handler) as peer:
            url = f"http://me:wr0ng%401@127.0.0.1:{peer.port}"
            with pytest.raises(ConnectError, match="407") as caught:
                site.transcriber(proxy=url).open()
        assert echoed not in shown(caught.value)

    def test_knows_no_such_host(self, site: Site) -> None:
        """The proxy's status is in the message; its own words are not trusted."""
        with ConnectProxy() as proxy:
            with pytest.raises(ConnectError, match="502 Bad Gateway"):
                site.transcriber(proxy=proxy.url()).open()

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (b"", "gave no whole answer"),
            (b"HTTP/1.1 200 OK\r\nVia: x", "gave no whole answer"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "gave no whole answer"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "refused"),
            (b"\xff\xfe\r\n\r\n", "refused"),
            (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "refused: .*302"),
        ],
    )
    def test_no_proxy_there(self, answer: bytes, reason: str, site: Site) -> None:
        """Whatever else listens there is told as such, and ends in time."""

        def handler(peer: Connection) -> None:
            peer.read_request()
            try:
                peer.sock.sendall(answer)
            except ConnectionError:
                return  # it has heard enough

        with Peer(handler) as peer:
            proxy = f"http://127.0.0.1:{peer.port}"
            with pytest.raises(ConnectError, match=reason):
                site.transcriber(proxy=proxy).open()

    def test_hangs(self, site: Site) -> None:
        """open_timeout is for the proxy too, and the message names it."""
        with site.proxy(hangs=True) as proxy:
            with pytest.raises(ConnectError) as caught:
                site.transcriber(proxy=proxy.url(), open_timeout=0.2).open()
        assert f"through the proxy 127.0.0.1:{proxy.port}" in str(caught.value)
        assert "within open_timeout=0.2 s" in str(caught.value)

    def test_is_not_there(self, site: Site) -> None:
        """A proxy that was switched off is named; the server is not tried without."""
        with ConnectProxy() as proxy:
            url = proxy.url()
        with pytest.raises(ConnectError, match="through the proxy"):
            site.transcriber(proxy=url).open()

    def test_another_kind_in_the_environment(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SOCKS is refused by name, its password unquoted, and never gone around."""
        monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:9")
        with pytest.raises(
            ConnectError, match="proxy: .* got one of socks5://, which is not"
        ) as caught:
            site.transcriber().open()
        assert "secret" not in shown(caught.value)


class TestWhether:
    """When a proxy is used, and when not."""

    @pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
    @pytest.mark.parametrize(
        ("value", "direct"),
        [
            (HOST, True),
            ("example", True),
            (".example", True),
            ("other.example, speech.example", True),
            ("*", True),
            ("other.example", False),
            ("peech.example", False),
            ("", False),
        ],
    )
    def test_no_proxy(
        self,
        value: str,
        direct: bool,
        name: str,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A host, a suffix, a list and a star are gone to directly; others are not."""
        with site.proxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url())
            monkeypatch.setenv(name, value)
            t = site.transcriber()
            t.open()
            t.abort()
        assert len(proxy.asked) == (0 if direct else 1)

    def test_an_argument_is_stronger(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy that the program names is used whatever the environment excepts."""
        monkeypatch.setenv("NO_PROXY", "*")
        with site.proxy() as proxy:
            t = site.transcriber(proxy=proxy.url())
            t.open()
            t.abort()
        assert len(proxy.asked) == 1

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    @pytest.mark.parametrize("how", ["argument", "environment"])
    def test_this_machine_by_tls(
        self, how: str, host: str, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Towards it a proxy on it is used: what it carries is enciphered."""
        with site.proxy() as proxy:
            if how == "environment":
                monkeypatch.setenv("HTTPS_PROXY", proxy.url())
            named = proxy.url() if how == "argument" else "env"
            url = f"wss://{host}:{site.port}"
            assert heard(site.transcriber(base_url=url, proxy=named)) == "Hello world"
        assert proxy.asked[0].startswith(f"CONNECT {host}:{site.port} ".encode())

    def test_this_machine_by_tls_excepted(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """NO_PROXY holds for it too."""
        with site.proxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url())
            monkeypatch.setenv("NO_PROXY", "localhost")
            t = site.transcriber(base_url=f"wss://localhost:{site.port}")
            assert heard(t) == "Hello world"
        assert proxy.asked == []

    @pytest.mark.parametrize("how", ["argument", "environment"])
    def test_this_machine_in_the_clear(
        self, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only a proxy that the program itself has named gets to see the key."""
        with LocalServer(script=SCRIPT) as server:
            port = server.base_url.rpartition(":")[2]
            with ConnectProxy({f"127.0.0.1:{port}": int(port)}) as proxy:
                if how == "environment":
                    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
                        monkeypatch.setenv(name, proxy.url())
                named = proxy.url() if how == "argument" else "env"
                t = Transcriber(api_key=KEY, base_url=server.base_url, proxy=named)
                assert heard(t) == "Hello world"
        assert len(proxy.asked) == (1 if how == "argument" else 0)
        assert [KEY.encode() in seen for seen in proxy.up] == [True] * len(proxy.asked)

    @pytest.mark.parametrize("how", ["argument", "environment"])
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    def test_a_proxy_elsewhere_does_not_reach_this_machine(
        self,
        host: str,
        how: str,
        site: Site,
        asked_for: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """To it the name means another machine, so it is not even looked up."""
        if how == "environment":
            monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
        named = "http://proxy.example:3128" if how == "argument" else "env"
        t = site.transcriber(base_url=f"wss://{host}:{site.port}", proxy=named)
        assert heard(t) == "Hello world"
        assert "proxy.example" not in asked_for

    @pytest.mark.parametrize("host", ["[::1]", "localhost", "127.8.9.1"])
    def test_every_name_of_this_machine(self, host: str) -> None:
        """IPv6, a name, another loopback address: all are this machine."""
        bare = host.strip("[]")
        near, far = f"http://{host}:3128", "http://10.1.2.3:3128"
        assert find_proxy(near, bare, False) == near
        assert find_proxy(far, bare, True) is None
        assert find_proxy(near, HOST, True) == near
        assert find_proxy(far, HOST, True) == far

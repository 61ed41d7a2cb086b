"""Where the endpoints are, what they take, and where a key may go."""

from __future__ import annotations

import copy
import math
import pickle
import traceback
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync import endpoints
from cartesia_stt_sync.endpoints import MANUAL, Account, Secret, account
from cartesia_stt_sync.errors import ConfigError

KEY = "sk_car_TOPSECRET"


def query(**changes: Any) -> dict[str, object]:
    """The parameters of a plain session, but for some."""
    plain: dict[str, Any] = {
        "model": "ink-2",
        "encoding": "pcm_s16le",
        "sample_rate": 16000,
        "language": "en",
        "keyterms": (),
        "language_hints": (),
        "min_volume": None,
        "max_silence_duration_secs": None,
        "extra_query": {},
    }
    return endpoints.manual_query(**plain | changes)


def url(**changes: Any) -> str:
    """The address of a session with such parameters."""
    account = Account(base_url="wss://api.cartesia.ai", credential=Secret(KEY))
    return account.url(MANUAL, query(**changes))


class TestUrl:
    """The address and its query."""

    def test_plain(self) -> None:
        """The defaults make this address, and no key stands in it."""
        assert url() == (
            "wss://api.cartesia.ai/stt/websocket"
            "?model=ink-2&encoding=pcm_s16le&sample_rate=16000&language=en"
        )

    def test_all(self) -> None:
        """Every documented parameter is sent under its wire name."""
        whole = url(
            model="ink-whisper",
            encoding="pcm_mulaw",
            sample_rate=8000,
            language="de",
            keyterms=["Cartesia"],
            language_hints=["en", "de"],
            min_volume=0.0,
            max_silence_duration_secs=2,
            extra_query={"new": 1},
        )
        assert parse_qsl(urlsplit(whole).query) == [
            ("model", "ink-whisper"),
            ("encoding", "pcm_mulaw"),
            ("sample_rate", "8000"),
            ("language", "de"),
            ("keyterm", "Cartesia"),
            ("language_hint", "en"),
            ("language_hint", "de"),
            ("min_volume", "0.0"),
            ("max_silence_duration_secs", "2.0"),
            ("new", "1"),
        ]

    def test_keyterms(self) -> None:
        """Key terms are repeated, and a space is %20: a plus would be a plus."""
        whole = url(keyterms=["Ink Two", "C++", "R&D", "50%", "naïve"])
        assert whole.endswith(
            "&keyterm=Ink%20Two&keyterm=C%2B%2B&keyterm=R%26D&keyterm=50%25"
            "&keyterm=na%C3%AFve"
        )

    def test_numbers_of_numpy(self) -> None:
        """A number that comes out of an array is one."""
        whole = url(
            sample_rate=np.int64(8_000),
            min_volume=np.float32(0.5),
            max_silence_duration_secs=np.int16(2),
            extra_query={"new": np.float32(0.25)},
        )
        assert parse_qsl(urlsplit(whole).query)[2:] == [
            ("sample_rate", "8000"),
            ("language", "en"),
            ("min_volume", "0.5"),
            ("max_silence_duration_secs", "2.0"),
            ("new", "0.25"),
        ]

    def test_no_language(self) -> None:
        """None is not sent."""
        assert "language" not in url(language=None)

    def test_extra(self) -> None:
        """Values of tomorrow go as the web writes them, lists repeated."""
        whole = url(
            extra_query={"a": True, "b": False, "c": [1, 2.5], "d": ("x y", "z")}
        )
        assert whole.endswith("&a=true&b=false&c=1&c=2.5&d=x%20y&d=z")

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
            max_size=20,
        )
    )
    def test_any_keyterm_arrives(self, terms: list[str]) -> None:
        """Whatever a key term is made of, a server reads the same."""
        parsed = parse_qsl(urlsplit(url(keyterms=terms)).query)
        assert [value for name, value in parsed if name == "keyterm"] == terms

    def test_required_and_optional(self) -> None:
        """What is sent is what the endpoint says it knows, as the server reads it."""
        known = set(MANUAL.required + MANUAL.optional)
        sent = query(keyterms=["a"], language_hints=["en"], min_volume=1.0)
        assert set(MANUAL.required) <= set(sent) <= known

    def test_commands(self) -> None:
        """The commands are bare words, and close is not called done."""
        assert (MANUAL.finalize, MANUAL.close) == ("finalize", "close")
        assert MANUAL.answers_close
        assert MANUAL.path == "/stt/websocket"


class TestQuery:
    """What may be asked for."""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"model": ""}, "model: a non-empty string, got ''"),
            ({"model": None}, "model: a non-empty string, got None"),
            ({"language": ""}, "language: a non-empty string, got ''"),
            ({"language": 5}, "language: a non-empty string, got 5"),
            ({"keyterms": "Ink"}, "keyterms: a list of strings, got 'Ink'"),
            ({"keyterms": {"Ink"}}, "keyterms: a list of strings, got {'Ink'}"),
            ({"keyterms": None}, "keyterms: a list of strings, got None"),
            ({"keyterms": ["a", ""]}, "keyterms: a non-empty string, got ''"),
            ({"keyterms": [5]}, "keyterms: a non-empty string, got 5"),
            ({"keyterms": ["a"] * 101}, "keyterms: at most 100, got 101"),
            (
                {"keyterms": ["a" * 601, "b" * 600]},
                "keyterms: at most 1,200 characters in all, got 1,201; leave out the "
                "common words",
            ),
            ({"language_hints": ["en"] * 7}, "language_hints: at most 6, got 7"),
            ({"language_hints": "en"}, "language_hints: a list of strings, got 'en'"),
            ({"min_volume": "1"}, "min_volume: a number or None, got '1'"),
            ({"min_volume": True}, "min_volume: a number or None, got True"),
            ({"min_volume": math.nan}, "min_volume: a number or None, got nan"),
            (
                {"max_silence_duration_secs": -1},
                "max_silence_duration_secs: seconds, at least 0, or None, got -1",
            ),
            ({"extra_query": None}, "extra_query: a mapping of strings, got None"),
            ({"extra_query": [("a", 1)]}, "extra_query: a mapping of strings, got "),
            ({"extra_query": {1: 1}}, "extra_query: a non-empty string, got 1"),
            ({"extra_query": {"": 1}}, "extra_query: a non-empty string, got ''"),
            (
                {"extra_query": {"model": "x"}},
                "extra_query: model has an argument of its own; use that",
            ),
            (
                {"extra_query": {"keyterm": "x"}},
                "extra_query: keyterm has an argument of its own; use that",
            ),
            ({"extra_query": {"a": None}}, "extra_query: a wants a string, a number"),
            ({"extra_query": {"a": b"x"}}, "extra_query: a wants a string, a number"),
            ({"extra_query": {"a": [{}]}}, "extra_query: a wants a string, a number"),
            ({"extra_query": {"a": math.inf}}, "extra_query: a wants a string, a nu"),
            ({"extra_query": {"a": ""}}, "extra_query: a: a non-empty string, got ''"),
            ({"extra_query": {"a": "\ud800"}}, "extra_query: a: text that UTF-8 can"),
        ],
    )
    def test_refused(self, changes: dict[str, Any], message: str) -> None:
        """A bad value is refused by its argument's name, the rule and what came."""
        with pytest.raises(ConfigError) as caught:
            query(**changes)
        assert str(caught.value).startswith(message)

    @pytest.mark.parametrize("name", ["api_key", "access_token"])
    def test_no_key_in_the_query(self, name: str) -> None:
        """A key is refused in the URL, and not quoted."""
        with pytest.raises(
            ConfigError, match=f"{name} must not stand in a URL"
        ) as caught:
            query(extra_query={name: KEY})
        assert KEY not in str(caught.value)

    def test_limits_are_allowed(self) -> None:
        """As much as the service documents passes."""
        query(keyterms=["a" * 12] * 100, language_hints=["en"] * 6)

    def test_open_sets(self) -> None:
        """Models and languages of tomorrow pass through."""
        assert query(model="ink-9-2031", language="tlh")["model"] == "ink-9-2031"


class TestBaseUrl:
    """Where a key may go."""

    @pytest.mark.parametrize(
        ("given_url", "form"),
        [
            ("wss://api.cartesia.ai", "wss://api.cartesia.ai"),
            ("wss://api.cartesia.ai/", "wss://api.cartesia.ai"),
            (" WSS://API.Cartesia.AI:8443\n", "wss://api.cartesia.ai:8443"),
            ("https://eu.cartesia.ai", "wss://eu.cartesia.ai"),
            ("wss://[2001:DB8::1]:443", "wss://[2001:db8::1]:443"),
            ("wss://10.0.0.1", "wss://10.0.0.1"),
            ("http://localhost:8080", "ws://localhost:8080"),
            ("ws://LOCALHOST", "ws://localhost"),
            ("ws://127.0.0.1:1", "ws://127.0.0.1:1"),
            ("ws://127.9.9.9", "ws://127.9.9.9"),
            ("ws://[::1]:8080", "ws://[::1]:8080"),
        ],
    )
    def test_taken(self, given_url: str, form: str) -> None:
        """Encrypted to anywhere, in the clear to this machine, in one form."""
        assert endpoints.check_base_url(given_url) == form
        assert endpoints.check_base_url(form) == form

    @pytest.mark.parametrize(
        "given_url",
        [
            "ws://api.cartesia.ai",
            "http://api.cartesia.ai",
            "ws://192.168.0.1",
            "ws://10.0.0.1:8080",
            "ws://0.0.0.0",
            "ws://[::]",
            "ws://[2001:db8::1]",
            "ws://localhost.example.org",
            "ws://127.0.0.1.example.org",
            "ws://2130706433",
            "ws://127.1",
        ],
    )
    def test_never_in_the_clear(self, given_url: str) -> None:
        """No key goes unencrypted to another machine, however its name looks."""
        with pytest.raises(ConfigError, match="base_url: ws:// only to this machine"):
            endpoints.check_base_url(given_url)

    @pytest.mark.parametrize(
        "given_url",
        [
            "",
            "api.cartesia.ai",
            "ftp://api.cartesia.ai",
            "wss://",
            "wss:api.cartesia.ai",
            "wss://:443",
            "wss://api.cartesia.ai:port",
            "wss://api.cartesia.ai:99999",
            "wss://[::1",
            None,
            5,
            b"wss://api.cartesia.ai",
        ],
    )
    def test_no_url(self, given_url: Any) -> None:
        """What is no websocket URL is refused with an example of one."""
        with pytest.raises(ConfigError, match="base_url: a URL like 'wss://api.cart"):
            endpoints.check_base_url(given_url)

    @pytest.mark.parametrize(
        "given_url",
        [
            f"wss://{KEY}@api.cartesia.ai",
            f"wss://user:{KEY}@api.cartesia.ai",
            f"ws://localhost:{KEY}@example.org",
            f"wss://api.cartesia.ai?api_key={KEY}",
            f"wss://api.cartesia.ai#{KEY}",
        ],
    )
    def test_nothing_but_host_and_port(self, given_url: str) -> None:
        """What may be a credential is refused, and not quoted."""
        with pytest.raises(ConfigError, match="only scheme, host and port") as caught:
            endpoints.check_base_url(given_url)
        assert KEY not in str(caught.value)

    def test_no_path(self) -> None:
        """A path is refused: the endpoint has its own."""
        with pytest.raises(ConfigError, match="got the path '/stt/websocket'"):
            endpoints.check_base_url("wss://api.cartesia.ai/stt/websocket")

    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The argument wins over CARTESIA_BASE_URL, which wins over the default."""
        monkeypatch.delenv("CARTESIA_BASE_URL", raising=False)
        assert endpoints.find_base_url(None) == "wss://api.cartesia.ai"
        monkeypatch.setenv("CARTESIA_BASE_URL", "")
        assert endpoints.find_base_url(None) == "wss://api.cartesia.ai"
        monkeypatch.setenv("CARTESIA_BASE_URL", "http://127.0.0.1:1")
        assert endpoints.find_base_url(None) == "ws://127.0.0.1:1"
        assert endpoints.find_base_url("wss://x.example") == "wss://x.example"

    def test_bad_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment is checked like an argument, and so is an empty one."""
        monkeypatch.setenv("CARTESIA_BASE_URL", "ws://example.org")
        with pytest.raises(ConfigError, match="only to this machine"):
            endpoints.find_base_url(None)
        with pytest.raises(ConfigError, match="a URL like"):
            endpoints.find_base_url("")


class TestCredential:
    """Where the key comes from, and that it goes nowhere else."""

    def test_sources(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An argument wins over the environment."""
        monkeypatch.setenv("CARTESIA_API_KEY", "from-environment")
        find = endpoints.find_credential
        assert find(None, None).reveal() == "from-environment"
        assert find("a-key", None).reveal() == "a-key"
        assert find(None, "a-token").reveal() == "a-token"

    @pytest.mark.parametrize("value", [None, ""])
    def test_none(self, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
        """Without any the message says where one could stand and comes from."""
        monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
        if value is not None:
            monkeypatch.setenv("CARTESIA_API_KEY", value)
        with pytest.raises(ConfigError, match="none given; pass api_key= or set CART"):
            endpoints.find_credential(None, None)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("", "api_key: a non-empty string, got an empty string"),
            (5, "api_key: a non-empty string, got a int"),
            (KEY.encode(), "api_key: a non-empty string, got a bytes"),
            (f"{KEY}\n", "api_key: letters, digits and signs only"),
            (f" {KEY}", "api_key: letters, digits and signs only"),
            (f"{KEY}\r\nX-Evil: 1", "api_key: letters, digits and signs only"),
            (f"{KEY}é", "api_key: letters, digits and signs only"),
            (f"{KEY}\x7f", "api_key: letters, digits and signs only"),
            (f"{KEY}\0", "api_key: letters, digits and signs only"),
        ],
    )
    def test_bad(self, value: Any, message: str) -> None:
        """A key that no header can carry is refused, and not quoted."""
        with pytest.raises(ConfigError) as caught:
            endpoints.find_credential(value, None)
        assert str(caught.value).startswith(message)
        assert KEY not in str(caught.value)

    def test_bad_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The message names the place that the bad key came from."""
        with pytest.raises(ConfigError, match=r"^access_token: a non-empty string"):
            endpoints.find_credential(None, "")
        monkeypatch.setenv("CARTESIA_API_KEY", f"{KEY}\n")
        with pytest.raises(ConfigError, match=r"^CARTESIA_API_KEY: letters"):
            endpoints.find_credential(None, None)

    @pytest.mark.parametrize(
        "arguments",
        [(f"{KEY}\n", None), (None, f"{KEY} x"), (KEY, KEY), (KEY.encode(), None)],
    )
    def test_locals_of_a_traceback(self, arguments: tuple[Any, Any]) -> None:
        """No frame of the error's traceback that is ours holds the key."""
        with pytest.raises(ConfigError) as caught:
            endpoints.find_credential(*arguments)
        ours = [f for f in _frames(caught.value) if f.filename == account.__file__]
        assert ours
        assert KEY not in str([frame.locals for frame in ours])

    def test_both(self) -> None:
        """Two credentials are one too many."""
        with pytest.raises(ConfigError, match="one of the two, got both"):
            endpoints.find_credential(KEY, KEY)

    def test_headers(self) -> None:
        """The key goes in one header, the version in another."""
        account = Account(
            base_url="wss://x", credential=Secret(KEY), version="2026-03-01"
        )
        assert account.headers() == {
            "Authorization": f"Bearer {KEY}",
            "Cartesia-Version": "2026-03-01",
        }


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.TracebackException.from_exception(error, capture_locals=True).stack


class TestSecret:
    """A value that shows itself to nobody who does not ask."""

    def test_reveal(self) -> None:
        """Whoever asks gets it."""
        assert Secret(KEY).reveal() == KEY

    def test_no_text_shows_it(self) -> None:
        """Neither repr nor str nor format shows it, alone or inside others."""
        secret = Secret(KEY)
        account = Account(base_url="wss://x", credential=secret)
        texts = [
            repr(secret),
            str(secret),
            f"{secret}{secret!r}{secret!s}{secret!a}{account}",
            format(secret),
            "%s %r" % (secret, secret),  # noqa: UP031  # as logging does
            repr([secret, account, {"a": account}]),
            repr(attrs.asdict(account)),
            repr(secret._reveal),
        ]
        assert KEY not in "".join(texts)

    def test_no_vars(self) -> None:
        """It has no __dict__, and what its slot holds prints as a function."""
        with pytest.raises(TypeError):
            vars(Secret(KEY))
        assert Secret.__slots__ == ("_reveal",)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_no_pickle(self, protocol: int) -> None:
        """It is not pickled, alone or in an account, in any protocol."""
        secret = Secret(KEY)
        for value in (secret, Account(base_url="wss://x", credential=secret)):
            with pytest.raises(TypeError, match="a Secret is not pickled"):
                pickle.dumps(value, protocol)

    def test_no_copy(self) -> None:
        """Nor copied, which is done in the same way."""
        with pytest.raises(TypeError, match="not pickled"):
            copy.deepcopy(Secret(KEY))

    def test_locals_of_a_traceback(self) -> None:
        """A traceback with locals shows neither the secret nor an account's."""

        def fail(account: Account) -> None:
            secret = account.credential
            raise ValueError(f"{secret} of {account}")

        with pytest.raises(ValueError, match="Secret") as caught:
            fail(Account(base_url="wss://x", credential=Secret(KEY)))
        last = _frames(caught.value)[-1]
        assert last.locals is not None
        assert set(last.locals) == {"account", "secret"}
        assert KEY not in str(last.locals)


@pytest.mark.parametrize("version", ["2026-03-01", "2031-12-31"])
def test_version(version: str) -> None:
    """A date is a version."""
    assert endpoints.check_version(version) == version


@pytest.mark.parametrize(
    "version",
    [
        "",
        "latest",
        "2026-3-1",
        "2026-03-01\n",
        "2026-03-01-preview",
        None,
        20260301,
        "\uff12\uff10\uff12\uff16-03-01",
    ],
)
def test_no_version(version: object) -> None:
    """What is no date is none, digits of other scripts included."""
    with pytest.raises(ConfigError, match="version: a date like '2026-03-01', got"):
        endpoints.check_version(version)


def test_the_default_version_is_one() -> None:
    """The default passes its own check."""
    assert endpoints.check_version(endpoints.VERSION) == "2026-03-01"
    assert endpoints.check_base_url(endpoints.BASE_URL) == endpoints.BASE_URL


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("128.0.0.1", False),
        ("::2", False),
        ("", False),
        ("localhost.", False),
        ("notlocalhost", False),
    ],
)
def test_loopback(host: str, is_it: bool) -> None:
    """Loopback is by address, and by one name."""
    assert endpoints.is_loopback(host) is is_it

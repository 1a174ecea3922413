"""Identity tokens, signed here by keys of our own, against certificates that a server of our own gives."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.access.identity import Gatekeeper
from shared.access.roles import EVENTS_ROUTE, ROLES, Role
from shared.config import load_settings
from shared.errors import Forbidden, PlatformUnavailable, Unauthenticated
from shared.platform.gcp.identities import GoogleIdentities
from shared.platform.identities import NoIdentities
from shared.platform.local.secrets import LocalSecrets
from tests.access.strangers import Strangers

AUDIENCE = "https://audit-abc-ew.a.run.app"
SENDER = "pubsub-push@a-project.iam.gserviceaccount.com"
NOW = 1_800_000_000.0
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


@dataclass(frozen=True)
class Key:
    """A signer with its certificate."""

    id: str
    private: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    @property
    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon")])
        start = datetime(2020, 1, 1, tzinfo=UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(1)
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=20_000))
            .sign(self.private, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, claims: dict[str, Any]) -> str:
        pem = self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        signer = crypt.RSASigner.from_string(pem, self.id)  # type: ignore[no-untyped-call]
        token: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
        return token.decode()


@dataclass
class Certificates:
    """What the certificate server answers, and how often it was asked."""

    url: str = ""
    keys: list[Key] = field(default_factory=list)
    max_age: int = 3_600
    status: int = 200
    asked: int = 0


KEY, OTHER = Key("k1"), Key("k2")


@pytest.fixture
def certificates() -> Iterator[Certificates]:
    state = Certificates(keys=[KEY])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            body = json.dumps({key.id: key.certificate for key in state.keys}).encode()
            self.send_response(state.status)
            self.send_header("cache-control", f"public, max-age={state.max_age}, must-revalidate")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


class Clock:
    """Both clocks, turned by hand."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(
        "google.auth._helpers.utcnow", lambda: datetime.fromtimestamp(made.now, UTC).replace(tzinfo=None)
    )
    return made


def identities(
    certificates: Certificates, clock: Callable[[], float], *, invokers_checked: bool = False
) -> GoogleIdentities:
    return GoogleIdentities(
        invokers_checked=invokers_checked,
        certificates_url=certificates.url,
        monotonic=clock,
        time_now=clock,
    )


def claims(**changed: Any) -> dict[str, Any]:
    usual = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "azp": "1234",
        "sub": "1234",
        "email": SENDER,
        "email_verified": True,
        "iat": int(NOW) - 10,
        "exp": int(NOW) + 3_590,
    }
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def unsigned(claims: dict[str, Any], *, signature: str = REMOVED, **header: Any) -> str:
    parts = [{"alg": "RS256", "kid": "k1", "typ": "JWT", **header}, claims]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, signature])


def test_a_good_token_tells_who_calls(certificates: Certificates, clock: Clock) -> None:
    found = identities(certificates, clock)
    for _ in range(3):
        assert found.verify(KEY.sign(claims()), AUDIENCE) == SENDER
    assert certificates.asked == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"iss": "https://accounts.example.com"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "https://other.a.run.app"}, "audience"),
        ({"aud": None}, "audience"),
        ({"email": None}, "email"),
        ({"email": 7}, "email"),
        ({"email_verified": False}, "email"),
        ({"email_verified": None}, "email"),
        ({"email_verified": "true"}, "email"),
        ({"exp": int(NOW) - 31}, "time|expired"),
        ({"exp": None}, "time|expired"),
        ({"iat": int(NOW) + 120}, "time|valid"),
        ({"iat": None}, "time|valid"),
    ],
)
@pytest.mark.parametrize("invokers_checked", [False, True])
def test_a_token_with_a_wrong_claim_is_refused(
    certificates: Certificates, clock: Clock, changed: dict[str, Any], words: str, invokers_checked: bool
) -> None:
    token = unsigned(claims(**changed)) if invokers_checked else KEY.sign(claims(**changed))
    with pytest.raises(Unauthenticated, match=words):
        identities(certificates, clock, invokers_checked=invokers_checked).verify(token, AUDIENCE)


@pytest.mark.parametrize(
    "token",
    [
        Key("k1").sign(claims()),
        OTHER.sign(claims()),
        unsigned(claims()),
        unsigned(claims(), alg="none", signature=""),
        unsigned(claims(), alg="HS256"),
        KEY.sign(claims())[:-8] + "AAAAAAAA",
        "a.b.c",
        "..",
        "",
        "x" * 9_000,
    ],
    ids=[
        "another key",
        "unknown key",
        "removed",
        "none",
        "HS256",
        "tampered",
        "abc",
        "dots",
        "empty",
        "long",
    ],
)
def test_a_token_that_google_did_not_sign_is_refused(
    certificates: Certificates, clock: Clock, token: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        identities(certificates, clock).verify(token, AUDIENCE)
    assert not token or token not in str(caught.value)


def test_a_tampered_claim_breaks_the_signature(certificates: Certificates, clock: Clock) -> None:
    head, _, signature = KEY.sign(claims(email="somebody@else.org")).split(".")
    body = unsigned(claims()).split(".")[1]
    with pytest.raises(Unauthenticated):
        identities(certificates, clock).verify(f"{head}.{body}.{signature}", AUDIENCE)


def test_where_cloud_run_has_verified_the_token_its_claims_count(
    certificates: Certificates, clock: Clock
) -> None:
    found = identities(certificates, clock, invokers_checked=True)
    assert found.verify(unsigned(claims()), AUDIENCE) == SENDER
    assert certificates.asked == 0


def test_certificates_are_fetched_anew_when_they_age(certificates: Certificates, clock: Clock) -> None:
    certificates.max_age = 100
    found = identities(certificates, clock)
    found.verify(KEY.sign(claims()), AUDIENCE)
    clock.now += 99
    found.verify(KEY.sign(claims()), AUDIENCE)
    assert certificates.asked == 1
    clock.now += 2
    found.verify(KEY.sign(claims()), AUDIENCE)
    assert certificates.asked == 2


def test_a_new_key_is_found_and_unknown_ones_do_not_ask_for_ever(
    certificates: Certificates, clock: Clock
) -> None:
    found = identities(certificates, clock)
    found.verify(KEY.sign(claims()), AUDIENCE)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            found.verify(OTHER.sign(claims()), AUDIENCE)
    assert certificates.asked == 1
    certificates.keys.append(OTHER)
    clock.now += 61
    assert found.verify(OTHER.sign(claims()), AUDIENCE) == SENDER
    assert certificates.asked == 2


def test_certificates_that_cannot_be_fetched_are_no_refusal(certificates: Certificates, clock: Clock) -> None:
    """So that the sender tries again."""
    certificates.status = 500
    with pytest.raises(PlatformUnavailable):
        identities(certificates, clock).verify(KEY.sign(claims()), AUDIENCE)


def test_certificates_that_are_kept_serve_while_google_is_away(
    certificates: Certificates, clock: Clock
) -> None:
    found = identities(certificates, clock)
    found.verify(KEY.sign(claims()), AUDIENCE)
    certificates.status = 500
    clock.now += 120
    with pytest.raises(Unauthenticated):
        found.verify(OTHER.sign(claims()), AUDIENCE)
    assert found.verify(KEY.sign(claims()), AUDIENCE) == SENDER


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=60) | st.just("eyJhbGciOiJSUzI1NiJ9"), min_size=3, max_size=3))
def test_no_text_is_more_than_a_refusal(parts: list[str]) -> None:
    for checked in (True, False):
        found = GoogleIdentities(invokers_checked=checked, certificates_url="http://127.0.0.1:9")
        with pytest.raises((Unauthenticated, PlatformUnavailable)):
            found.verify(".".join(parts), AUDIENCE)


@pytest.fixture
def keeper(certificates: Certificates, clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Gatekeeper:
    chosen = load_settings(env="production", admin_api_key="a" * 20, event_senders=SENDER)
    secrets = LocalSecrets(tmp_path_factory.mktemp("secrets"))
    return Gatekeeper(chosen, secrets, identities(certificates, clock), Strangers, ROLES)


def presented(token: str, host: str = AUDIENCE.removeprefix("https://")) -> Callable[[str], str | None]:
    return {"authorization": f"Bearer {token}", "host": host}.get


def test_a_listed_sender_delivers_events_and_nothing_else(keeper: Gatekeeper) -> None:
    token = KEY.sign(claims())
    sender = keeper.admit(EVENTS_ROUTE, presented(token))
    assert (sender.name, sender.role) == (SENDER, Role.ADMIN)
    for route in ROLES.keys() - {EVENTS_ROUTE, "GET /health", "GET /ready"}:
        with pytest.raises(Unauthenticated):
            keeper.admit(route, presented(token))


def test_another_service_account_may_not_deliver(keeper: Gatekeeper) -> None:
    with pytest.raises(Forbidden, match="EVENT_SENDERS"):
        keeper.admit(EVENTS_ROUTE, presented(KEY.sign(claims(email="other@x.iam.gserviceaccount.com"))))


def test_a_token_for_another_address_is_refused(keeper: Gatekeeper) -> None:
    with pytest.raises(Unauthenticated, match="audience"):
        keeper.admit(EVENTS_ROUTE, presented(KEY.sign(claims()), host="fetch-abc-ew.a.run.app"))


def test_the_administrators_key_still_delivers(keeper: Gatekeeper) -> None:
    assert keeper.admit(EVENTS_ROUTE, {"x-api-key": "a" * 20}.get).role is Role.ADMIN


def test_the_twin_takes_no_tokens() -> None:
    with pytest.raises(Unauthenticated, match="X-API-Key"):
        NoIdentities().verify(KEY.sign(claims()), AUDIENCE)

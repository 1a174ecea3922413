"""Real receivers on this machine: of HTTP requests and of mail, well and badly behaved."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

HANG_SECONDS = 30.0
CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """`answers`: what to answer, in order, the last for ever: (status, headers, body)."""

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(200, {}, b"ok")])
    ended: threading.Event = field(default_factory=threading.Event)
    misbehave: Callable[[Any, threading.Event], None] | None = None
    """Instead of an answer: what to do with the stream to who asked."""

    def answer(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self.answers[:] = answers


def hang(_stream: Any, ended: threading.Event) -> None:
    ended.wait(HANG_SECONDS)


def drip(stream: Any, ended: threading.Event) -> None:
    """A byte at a time, so that no wait for one is ever too long."""
    stream.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not ended.wait(0.2):
        stream.write(b"a")
        stream.flush()


def flood(stream: Any, ended: threading.Event) -> None:
    """An answer without an end."""
    stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    while not ended.is_set():
        stream.write(b"x" * 65_536)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, receiver: Receiver, *arguments: Any) -> None:
        self._receiver = receiver
        super().__init__(*arguments)

    def do_POST(self) -> None:
        receiver = self._receiver
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.taken.append(Taken(self.command, self.path, headers, body))
        if receiver.misbehave is not None:
            with suppress(OSError):
                receiver.misbehave(self.wfile, receiver.ended)
            self.close_connection = True
            return
        status, more, content = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
        self.send_response(status)
        for name, value in {**more, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815 - what http.server calls

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # who asked has gone away, as it should


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver of HTTP requests, of HTTPS with a context."""
    receiver = Receiver()
    with _Server((host, 0), partial(_Handler, receiver)) as server:
        scheme = "http"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        receiver.url = f"{scheme}://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for `localhost` and 127.0.0.1 that signs itself: whoever trusts `file` trusts it."""

    file: Path
    context: ssl.SSLContext


def certificate(folder: Path) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, private = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, private)
    return Certificate(file, context)


@dataclass(slots=True)
class Mailbox:
    """What a mail server took: the envelopes, and who logged in. `refusals`: receiver -> its answer."""

    port: int = 0
    envelopes: list[Any] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    after_data: str = "250 OK"

    async def handle_RCPT(  # noqa: N802 - what aiosmtpd calls
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        refusal = self.refusals.get(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the same
        self.envelopes.append(envelope)
        return self.after_data


@contextmanager
def mailbox(tls: ssl.SSLContext, *, security: str, user: str, password: str) -> Iterator[Mailbox]:
    """A mail server that wants a login, and encryption before it."""
    box = Mailbox()

    def check(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        right = LoginPassword(user.encode(), password.encode())
        box.logins.append(mechanism)
        return AuthResult(success=given == right, handled=False)

    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=0,
        ssl_context=tls if security == "tls" else None,
        tls_context=tls if security == "starttls" else None,
        require_starttls=security == "starttls",
        authenticator=check,
        auth_required=security != "none",
        auth_require_tls=security == "starttls",
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        controller.port = probe.getsockname()[1]
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()


@contextmanager
def dripping_server() -> Iterator[int]:
    """A server of anything that speaks a byte at a time and never ends; gives its port."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.1):
                try:
                    connection.sendall(b"2")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        ended.set()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)

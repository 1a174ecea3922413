"""Random requests: of HTTP, of almost HTTP, and of none."""

from __future__ import annotations

import json
import os
import random
import re
import socket

from tests.e2e.twin import ADMIN_KEY


class Fuzz:
    """Seeded random requests: every part is sometimes right, so that the others are reached."""

    def __init__(self, seed: int, routes: list[tuple[str, str]], tokens: list[str]) -> None:
        self._random = random.Random(seed)
        self._routes = routes
        self._tokens = tokens

    def raw(self) -> bytes:
        """One request as it goes over the wire; not always HTTP."""
        method, path = self._random.choice(self._routes)
        target = re.sub(r"\{\w+\}", lambda _: self._word(), path)
        if self._random.random() < 0.3:
            target += "?" + "&".join(
                f"{self._name()}={self._word()}" for _ in range(self._random.randrange(60))
            )
        if self._random.random() < 0.1:
            method = self._random.choice(["HEAD", "OPTIONS", "PUT", "TRACE", "get", "\u00e9", "A" * 200])
        body = self._body()
        lines = [f"{method} {target} HTTP/1.1".encode("latin-1", "replace"), b"Host: twin"]
        lines += [f"Content-Length: {len(body)}".encode(), b"Connection: close", *self._headers()]
        return b"\r\n".join([*lines, b"", body])

    def _name(self) -> str:
        return self._random.choice(["limit", "cursor", "symbol", "model", "start", "window", "x", "%00"])

    def _word(self) -> str:
        words = [
            "1", "-1", "market-signal", "market-signal-v1", "%00", "%ff", "%2e%2e%2f", "..", "__x__",
            "%0d%0aX:y", "1e999",
            "NaN", "\u0661".encode().hex(), "%D9%A1", "9" * 400, "a" * 3_000, "%F0%9F%92%A9", "%ED%A0%80",
            "null", "2024-01-01", "9999-12-31T23:59:59Z", "0001-01-01", "2024-01-01T00:00:00%2B23:59", "%",
            "%zz",
            "' OR 1=1 --", "${jndi:ldap://x}", "{{7*7}}", "<script>", "AAPL", "MOM01", "all", "30d", "true",
        ]  # fmt: skip
        return self._random.choice(words).replace(" ", "%20")

    def _headers(self) -> list[bytes]:
        choice, token = self._random.choice, self._random.choice(self._tokens)
        found = [b"X-API-Key: " + ADMIN_KEY.encode()] if self._random.random() < 0.6 else []
        odd = [
            b"Authorization: Bearer " + token.encode(),
            b"Authorization: Bearer " + self._spoilt(token).encode(),
            b"Authorization: Basic " + os.fsencode(token[:40]), b"Authorization:", b"X-API-Key: \xff\xfe\x80",
            b"X-API-Key: " + self._spoilt(token).encode(), b"X-API-Key: " + ADMIN_KEY.encode(), b"X-API-Key:",
            b"X-Request-ID: a b\xff", b"traceparent: 00-" + b"0" * 60, b"Idempotency-Key: " + b"k" * 300,
            b"Idempotency-Key: \xe9", b"Idempotency-Key: same", b"Origin: \xff", b"Origin: null",
            b"Access-Control-Request-Method: DELETE", b"X-Forwarded-For: " + b"1," * 500,
            b"Content-Encoding: gzip",
            b"ce-id: 1", b"ce-specversion: 1.0", b"ce-source: /x", b"ce-type: a", b"ce-\xff: 1",
            b"Range: bytes=0-",
            b"X-Goog-Pubsub-Message-Id: 1", b"X: " + b"h" * 8_000, b"Accept: */*;q=9", b"Cookie: a=b; c",
            b"If-Modified-Since: x", b"Range: bytes=9-1,,-", b"Expect: 100-continue",
            b"X-HTTP-Method-Override: DELETE",
        ]  # fmt: skip
        found += self._random.sample(odd, self._random.randrange(5))
        media = [
            b"application/json", b"application/json; charset=utf-7", b"multipart/form-data; boundary=x",
            b"application/x-www-form-urlencoded", b"application/cloudevents+json", b"text/plain",
            b"\xff/\xff",
            b"application/cloudevents-batch+json", b"",
        ]  # fmt: skip
        found.append(b"Content-Type: " + choice([media[0]] * 6 + media))
        return found

    def _spoilt(self, token: str) -> str:
        at = self._random.randrange(len(token))
        return self._random.choice(
            [token[:at] + "A" + token[at + 1 :], token[:at], token + ".", token.replace("_", "."), token * 3]
        )

    def _body(self) -> bytes:
        odd = [
            b"", b"{}", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 20_000, b"1" * 5_000,
            b'{"symbols": ["AAPL"], "symbols": []}', b'{"tasks": NaN}', b'{"tasks": 1e999}', b'{"tasks": -0}',
            b'{"email": "a@b.c", "password": "\\ud800"}', b'{"refresh_token": "\\u0000"}', b'"x"',
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../x"\r\n\r\nMZ\r\n--x--\r\n',
            b"--x\r\n\r\n", b'{"message": {"data": "!!!", "messageId": "1"}}', b'{"message": {"data": {}}}',
            b'{"specversion": "1.0", "id": "1", "source": "/", "type": "x", "data": {}}', b"x" * 1_000_001,
            b'{"email": "' + b"a" * 300 + b'@example.org", "password": "correct horse battery"}',
        ]  # fmt: skip
        if self._random.random() < 0.6:
            return self._random.choice(odd)
        names = [
            "email",
            "password",
            "role",
            "name",
            "models",
            "days",
            "symbols",
            "model",
            "reason",
            "window",
            "why",
        ]
        values = [
            None,
            True,
            -1,
            2**70,
            0.5,
            "",
            "x",
            "admin",
            [],
            ["AAPL"],
            {},
            {"a": [1]},
            "\u0000",
            "\U0001f4a9",
        ]
        some = {
            self._random.choice(names): self._random.choice(values) for _ in range(self._random.randrange(5))
        }
        return json.dumps(some).encode()


def answered(port: int, request: bytes) -> int | None:
    """The status of the first answer; None where the server closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            connection.sendall(request)
            first = connection.recv(4_096)
        except (ConnectionResetError, BrokenPipeError):
            return None
    found = re.match(rb"HTTP/1\.1 (\d{3})", first)
    return None if found is None else int(found[1])

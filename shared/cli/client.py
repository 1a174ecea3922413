"""The HTTP client: JSON in and out, and every failure as one `CliProblem`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

from shared.cli.problem import CliProblem, ExitCode, problem
from shared.cli.target import Target

if TYPE_CHECKING:
    import httpx

Document: TypeAlias = dict[str, Any]

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0


class Client:
    """Calls one engine. All methods raise `CliProblem` for what isn't a success."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def get(self, path: str, **query: Any) -> Document:
        """The answer to a GET; parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._json(self._call("GET", path, params=given))

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, answer_seconds: float = ANSWER_SECONDS
    ) -> Document:
        return self._json(self._call("POST", path, json=dict(body or {}), read_seconds=answer_seconds))

    def page(self, path: str) -> bytes:
        """The bytes of an answer that isn't JSON."""
        return self._call("GET", path).content

    def state(self, path: str) -> tuple[int, Document]:
        """Status and answer of a GET that tells something by failing, as `/ready` does."""
        answer = self._send("GET", path)
        return answer.status_code, self._json(answer)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._send(method, path, **options)
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def _send(
        self, method: str, path: str, *, read_seconds: float = ANSWER_SECONDS, **options: Any
    ) -> httpx.Response:
        import httpx

        timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS)
        with self._translated(read_seconds):
            return self._http.request(method, path, timeout=timeout, **options)

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        key = self.target.api_key
        return httpx.Client(
            base_url=self.target.url,
            headers={"accept": "application/json", **({"x-api-key": key} if key else {})},
            trust_env=not self.target.is_here,  # no proxy between us and ourselves
        )

    @contextmanager
    def _translated(self, read_seconds: float) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.ReadTimeout as error:
            seconds = f"{read_seconds:g} seconds"
            raise self._unreachable(f"{self.target.url} didn't answer within {seconds}.") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(self._nobody(error)) from error
        except httpx.RequestError as error:
            why = str(error) or type(error).__name__
            raise self._unreachable(f"{self.target.url} broke off: {why}.") from error

    def _nobody(self, error: Exception) -> str:
        if self.target.is_here:
            return f"The twin isn't running at {self.target.url}: start it with 'make up'."
        return f"{self.target.url} can't be reached: {str(error) or type(error).__name__}."

    def _unreachable(self, detail: str) -> CliProblem:
        return problem(
            "unreachable",
            "Nobody answers",
            detail,
            exit_code=ExitCode.UNREACHABLE,
            next_command="make up" if self.target.is_here else "mlengine doctor",
            instance=self.target.url,
            retryable=True,
        )

    def _json(self, answer: httpx.Response) -> Document:
        try:
            document = json.loads(answer.content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._stranger(answer)
        return document

    def _refusal(self, answer: httpx.Response) -> CliProblem:
        document = self._json(answer)
        if "title" not in document and "detail" not in document:
            return self._stranger(answer)
        return CliProblem(document)

    def _stranger(self, answer: httpx.Response) -> CliProblem:
        kind = answer.headers.get("content-type", "no content type")
        return problem(
            "not-the-engine",
            "That isn't ML Engine",
            f"{answer.url} answered {answer.status_code} ({kind}) instead of JSON of ours. "
            "Check --url, or what else listens there.",
            next_command="mlengine doctor",
            instance=answer.url.path,
        )


def path_part(text: str) -> str:
    """`text` as one part of a path."""
    return quote(text, safe="")

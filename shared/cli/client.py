"""The HTTP client: JSON in and out, and every failure as one `CliProblem`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote, urljoin

from shared.cli.credentials import Credentials, Login
from shared.cli.problem import CliProblem, ExitCode, problem, wrong_usage
from shared.cli.target import Target
from shared.platform.clock import CLOCK_HEADER, replay_time

if TYPE_CHECKING:
    import httpx

Document: TypeAlias = dict[str, Any]

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0

_REFRESH: Final = "/auth/refresh"
_WAYS_IN: Final = frozenset({"/auth/login", "/auth/register", _REFRESH})


class Client:
    """Calls one engine. All methods raise `CliProblem` for what isn't a success."""

    def __init__(
        self,
        target: Target,
        credentials: Credentials | None = None,
        *,
        on_replay: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        """`credentials` has the logins to present; without, none are. `on_replay` hears once if the engine
        plays history, with the time that it is there.
        """
        self.target = target
        self._credentials = credentials
        self._on_replay = on_replay
        self._replay_now: datetime | None = None

    def get(self, path: str, **query: Any) -> Document:
        """The answer to a GET; parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._json(self._call("GET", path, params=given))

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, answer_seconds: float = ANSWER_SECONDS
    ) -> Document:
        return self._json(self._call("POST", path, json=dict(body or {}), read_seconds=answer_seconds))

    def put(self, path: str, body: Mapping[str, Any]) -> Document:
        return self._json(self._call("PUT", path, json=dict(body)))

    def put_file(self, path: str, content: bytes, media_type: str, **query: str) -> Document:
        """The answer to a PUT whose body is a file."""
        headers = {"content-type": media_type}
        return self._json(self._call("PUT", path, content=content, params=query, more_headers=headers))

    def post_file(self, path: str, content: bytes, media_type: str, **query: str) -> Document:
        """The answer to a POST whose body is a file."""
        headers = {"content-type": media_type}
        return self._json(self._call("POST", path, content=content, params=query, more_headers=headers))

    def put_to(self, url: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Put a file to an address that the engine gave for it: of a store, or of its own. It is its own
        permission, so nothing of ours goes along.
        """
        import httpx

        with self._translated(ANSWER_SECONDS):
            answer = httpx.request(
                "PUT",
                urljoin(self.target.url + "/", url),
                content=content,
                headers=dict(headers),
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                trust_env=not self.target.is_here,
            )
        if not answer.is_success:
            raise self._refusal(answer)

    def delete(self, path: str, **query: Any) -> Document:
        return self._json(self._call("DELETE", path, params=query))

    def end_session(self, credentials: Credentials) -> str:
        """Log out, here and there; gives who it was.

        Raises:
            CliProblem: nobody is logged in.
        """
        login = credentials.find(self.target.url)
        if login is None:
            raise wrong_usage(f"Nobody is logged in at {self.target.url}: 'mlengine login EMAIL' does that.")
        try:
            self._call("POST", "/auth/logout")
        except CliProblem as failure:
            if failure.document.get("status") != HTTPStatus.UNAUTHORIZED:  # that one is over already
                raise
        credentials.forget(self.target.url)
        return login.email

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
        self,
        method: str,
        path: str,
        *,
        read_seconds: float = ANSWER_SECONDS,
        more_headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        import httpx

        timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS)
        headers = {**self._authorization(path), **(more_headers or {})}
        with self._translated(read_seconds):
            answer = self._http.request(method, path, timeout=timeout, headers=headers, **options)
        is_known = self._replay_now is not None
        self._replay_now = replay_time(answer.headers.get(CLOCK_HEADER))
        if self._replay_now is not None and not is_known:
            self._on_replay(self._replay_now)
        return answer

    def now(self) -> datetime:
        """The time at the engine, as far as its last answer tells: only where it plays history not ours."""
        return self._replay_now or datetime.now(UTC)

    def _authorization(self, path: str) -> dict[str, str]:
        """The key that was asked for, else the login, renewed where it is about to expire, else this
        machine's own key.
        """
        if path in _WAYS_IN:
            return {}
        if self.target.api_key is None or not self.target.is_given:
            login = None if self._credentials is None else self._renewed(self._credentials)
            if login is not None:
                return {"authorization": f"Bearer {login.access_token}"}
        return {"x-api-key": self.target.api_key} if self.target.api_key else {}

    def _renewed(self, credentials: Credentials) -> Login | None:
        login = credentials.find(self.target.url)
        if login is None or not login.is_stale:
            return login
        with credentials.alone():
            login = credentials.find(self.target.url)  # somebody else may have renewed it meanwhile
            if login is None or not login.is_stale:
                return login
            answer = self._send("POST", _REFRESH, json={"refresh_token": login.refresh_token})
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                credentials.forget(self.target.url)
                raise _logged_out(login.email)
            if not answer.is_success:
                raise self._refusal(answer)
            renewed = Login.of(login.email, self._json(answer))
            credentials.keep(self.target.url, renewed)
            return renewed

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        return httpx.Client(
            base_url=self.target.url,
            headers={"accept": "application/json"},
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
        return CliProblem(document, is_logged_in="authorization" in answer.request.headers)

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


def _logged_out(email: str) -> CliProblem:
    return problem(
        "logged-out",
        "Logged out",
        f"The session of {email} has ended.",
        exit_code=ExitCode.FAILED,
        next_command=f"mlengine login {email}",
    )


def path_part(text: str) -> str:
    """`text` as one part of a path."""
    return quote(text, safe="")

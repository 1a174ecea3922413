"""Documents in Firestore: single reads over REST, queries and batches through the official client.

A revision is a document's update time, and the tokens of its last writes. Each batch writes a random token
into its documents, since Firestore leaves the update time as it was where nothing changed. The token also
tells, after an answer was lost, whether the batch was carried out; a replacement keeps the tokens before its
own, so that this can be told when others were quick to write, too.

There is no transaction here on purpose: under contention Firestore's transactions hold each other up without
end, while compare-and-swap always lets one of them win.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import (
    ConfigurationError,
    Conflict,
    EngineError,
    InvalidInput,
    NotFound,
    PlatformUnavailable,
    RevisionConflict,
)
from shared.platform.checks import check_query, check_writes, is_int64, is_key
from shared.platform.cursors import cursor_at, fingerprint, place_of
from shared.platform.encoding import to_json
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.gcp.values import (
    WRITE_FIELD,
    from_rest,
    revision_at,
    revision_of,
    seconds_and_nanos,
    tokens_in,
    tokens_of,
)
from shared.platform.ports import Delete, Document, Filter, Order, Page, Replace, Write

if TYPE_CHECKING:
    import stamina
    from google.cloud.firestore_v1.services.firestore import FirestoreClient

_ATTEMPTS = 25  # the time ends them first
_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 0.5
_SHORTEST_CALL_SECONDS = 0.5
_LONG_AGO = (0, 0)  # an update time that no document has
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # a page of large documents has more than the usual 4 MB
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),  # a new client has a connection of its own
)


class FirestoreDocuments:
    """The Documents port on a database of the project. The client is imported and made at the first use."""

    def __init__(self, project: Project, rest: GoogleRest) -> None:
        self._project = project
        self._rest = rest
        self._database = f"projects/{project.id}/databases/{project.database}"
        self._lock = threading.Lock()
        self._made: FirestoreClient | None = None

    def get(self, collection: str, id: str) -> Document | None:
        if not is_key(collection, id):
            return None
        (found,) = self._read([(collection, id)], fields=None)
        return None if found is None else _document(found)

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        orders = check_query(collection, where, order_by, limit)
        asked = fingerprint(collection, where, orders)
        place = None if cursor is None else place_of(cursor, asked, len(orders), _cursor_value)

        errors = _client_errors()

        from shared.platform.gcp.firestore_errors import translated
        from shared.platform.gcp.firestore_messages import documents_of, query_request

        request = query_request(self._database, collection, where, orders, limit + 1, place)
        for attempt, timeout_seconds in self._attempts():
            with attempt:
                client = self._client
                try:
                    answer = client.run_query(
                        request=request, retry=None, timeout=timeout_seconds, metadata=self._metadata
                    )
                    found = documents_of(answer)
                except errors as error:
                    self._leave(client, error)
                    raise _reading(translated(error, f"a query of {collection}")) from error
        if len(found) <= limit:
            return Page(found, None)
        last = found[limit - 1]
        values = [_at(last.data, order.field) for order in orders]
        return Page(found[:limit], cursor_at(asked, last.id, values))

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        prepared = [
            (write, json.loads(text) if text else {})
            for write, text in zip(writes, check_writes(writes), strict=True)
        ]
        if not prepared:
            return []

        errors = _client_errors()

        from shared.platform.gcp.firestore_errors import translated
        from shared.platform.gcp.firestore_messages import commit_request, revisions_of

        token = secrets.token_hex(6)
        request = commit_request(self._database, prepared, token)
        for attempt, timeout_seconds in self._attempts():
            with attempt:
                client = self._client
                try:
                    answer = client.commit(
                        request=request, retry=None, timeout=timeout_seconds, metadata=self._metadata
                    )
                    return revisions_of(answer, writes, token)
                except errors as error:
                    self._leave(client, error)
                    refusal = _writing(translated(error, _named(writes)), writes)
                    first = attempt.num == 1 and not isinstance(refusal, PlatformUnavailable)
                    done = None if first else self._done(writes, token)
                    if done is not None:
                        return done
                    raise refusal from error
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the client's connections. The next call opens again."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.transport.close()  # type: ignore[no-untyped-call]  # the client is partly typed

    def _done(self, writes: Sequence[Write], token: str) -> list[str] | None:
        """The batch's revisions if it was carried out although its answer says otherwise, or was lost.

        Which it was is read from the documents: it wrote all or none. Those that were put or deleted by
        others since no longer tell, one that still carries the token does. A batch that only deletes
        leaves no token: it counts as done when nothing of it is there.
        """
        kept = [(write.collection, write.id) for write in writes if not isinstance(write, Delete)]
        if not kept:
            there = self._read([(write.collection, write.id) for write in writes], fields=[WRITE_FIELD])
            return None if any(there) else [""] * len(writes)
        found = [revision_of(one) for one in self._read(kept, fields=[WRITE_FIELD]) if one]
        if not any(token in tokens_in(revision) for revision in found):
            return None
        still = (seconds_and_nanos(one) for one in found if tokens_in(one)[:1] == [token])
        written_at = next(still, _LONG_AGO)  # one time for the whole batch; or others have written it all
        return [
            "" if isinstance(write, Delete) else revision_at(*written_at, tokens_of(write, token))
            for write in writes
        ]

    def _read(
        self, keys: Sequence[tuple[str, str]], *, fields: Sequence[str] | None
    ) -> list[dict[str, Any] | None]:
        """The documents as the REST API gives them (with `fields` only), None for each that isn't there.

        By a POST, since not every id goes through a URL unharmed, and since its answer tells a missing
        document from a missing database.
        """
        names = [f"{self._database}/documents/{collection}/{key}" for collection, key in keys]
        body: dict[str, Any] = {"documents": names}
        if fields is not None:
            body["mask"] = {"fieldPaths": fields}
        url = f"{self._project.firestore_url}/v1/{self._database}/documents:batchGet"
        response = self._rest.call("POST", url, json=body)
        if response.status_code != 200:  # the rest is refused by the caller's roles, or retried
            raise ConfigurationError(
                f"Firestore: reading from the database {self._project.database} of the project "
                f"{self._project.id} failed ({response.status_code}): {' '.join(response.text[:300].split())}"
            )
        found = {one["found"]["name"]: one["found"] for one in response.json() if "found" in one}
        return [found.get(name) for name in names]

    def _attempts(self) -> Iterator[tuple[stamina.Attempt, float]]:
        """Attempts within the project's time, and how many seconds each may take."""
        import stamina

        end = time.monotonic() + self._project.timeout_seconds
        attempts = stamina.retry_context(
            on=PlatformUnavailable,
            attempts=_ATTEMPTS,
            timeout=self._project.timeout_seconds,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
            wait_jitter=_FIRST_WAIT_SECONDS,
        )
        for attempt in attempts:
            yield attempt, max(_SHORTEST_CALL_SECONDS, (end - time.monotonic()) / 2)

    def _leave(self, client: FirestoreClient, error: Exception) -> None:
        """After a call without an answer, let the next one connect anew: a connection that nobody closed
        may be dead all the same, and gRPC would go on with it for a quarter of an hour.
        """
        from google.api_core.exceptions import DeadlineExceeded

        if isinstance(error, DeadlineExceeded):
            with self._lock:
                if self._made is client:
                    self._made = None

    @property
    def _client(self) -> FirestoreClient:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def _make_client(self) -> FirestoreClient:
        import grpc
        from google.cloud.firestore_v1.services.firestore import FirestoreClient
        from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

        host = self._project.firestore_url.partition("://")[2]
        if self._project.is_emulated:
            options = [*_CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)]
            channel = grpc.insecure_channel(host, options=options)
        else:
            channel = FirestoreGrpcTransport.create_channel(
                f"{host}:443", credentials=_credentials(), options=_CHANNEL_OPTIONS
            )
        return FirestoreClient(transport=FirestoreGrpcTransport(host=host, channel=channel))

    @property
    def _metadata(self) -> list[tuple[str, str]]:
        routing = [("google-cloud-resource-prefix", self._database)]
        return [*routing, ("authorization", "Bearer owner")] if self._project.is_emulated else routing


def _client_errors() -> type[Exception]:
    """What the official client raises.

    Raises:
        ConfigurationError: it isn't installed: this function reads documents by their ids, and no more.
    """
    try:
        from google.api_core.exceptions import GoogleAPIError
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Documents are read by their ids here, and neither queried nor written: Firestore's client isn't "
            "installed. List documents.read or documents.write under 'may' in functions/catalogue.yaml."
        ) from error
    return GoogleAPIError


def _credentials() -> Any:
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

    try:
        credentials, _ = google.auth.default(scopes=FirestoreGrpcTransport.AUTH_SCOPES)
    except GoogleAuthError as error:
        raise ConfigurationError(f"There are no credentials for Google Cloud: {error}") from error
    return credentials


def _document(found: dict[str, Any]) -> Document:
    document_id = found["name"].rpartition("/")[2]
    return Document(document_id, from_rest(found.get("fields", {})), revision_of(found))


def _cursor_value(value: Any) -> Any:
    """
    Raises:
        ValueError: nothing that a document could hold.
    """
    try:
        to_json({"value": value}, what="A cursor's value")
    except InvalidInput as error:
        raise ValueError(value) from error
    if isinstance(value, int) and not is_int64(value):
        raise ValueError(value)
    return value


def _at(data: Any, field: str) -> Any:
    """The value of a field, dotted perhaps, that is there."""
    for name in field.split("."):
        data = data[name]
    return data


def _named(writes: Sequence[Write]) -> str:
    first = f"{writes[0].collection}/{writes[0].id}"
    return f"writing {first}" if len(writes) == 1 else f"writing {first} and {len(writes) - 1} more"


def _reading(error: EngineError) -> EngineError:
    """What a query ran into: it has no preconditions, so the database or an index of it is missing."""
    return ConfigurationError(error.detail) if isinstance(error, Conflict | NotFound) else error


def _writing(error: EngineError, writes: Sequence[Write]) -> EngineError:
    """What a batch ran into: another revision, a document that isn't there, or no database at all."""
    has_revisions = any(isinstance(write, Replace | Delete) and write.revision for write in writes)
    is_later = isinstance(error, InvalidInput) and "base version" in error.detail  # than what is stored
    is_missing = isinstance(error, NotFound) and "/documents/" in error.detail
    if has_revisions and (is_later or is_missing):
        return RevisionConflict(error.detail)
    if isinstance(error, NotFound) or (isinstance(error, RevisionConflict) and not has_revisions):
        return ConfigurationError(error.detail)
    return error

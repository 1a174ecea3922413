"""The topics and subscriptions on the Pub/Sub emulator. In the cloud they are Terraform's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.topics import DEAD_LETTERS, gives_up

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1 import SchemaServiceClient, types

MAX_ATTEMPTS = 5
ACK_SECONDS = 600
"""The longest there is. A function that succeeds after its deadline has failed for Pub/Sub: it gets the
event again, and after the last attempt the event is given up, however often it was handled."""
_CHANGEABLE = ("push_config", "ack_deadline_seconds", "retry_policy", "dead_letter_policy")


def provision(
    project: Project,
    topics: Mapping[str, Sequence[str]],
    push_url: Callable[[str], str] | None,
    *,
    schemas: Mapping[str, str] = MappingProxyType({}),
    ack_seconds: int = ACK_SECONDS,
    first_seconds: float = 1.0,
    longest_seconds: float = 60.0,
    max_attempts: int = MAX_ATTEMPTS,
) -> None:
    """Make what is missing of `topics` and their subscriptions, and bring the others up to date.

    `schemas` are the Avro schemas that the messages of a topic must keep to; a topic keeps that which it was
    made with.

    A subscription pushes to `push_url(its name)`, or is pulled from where `push_url` is None. An event
    comes again when it isn't acknowledged within `ack_seconds` (the real service takes 10 to 600), after a
    delay: where it is pulled one that grows from `first_seconds` to `longest_seconds`, where it is pushed
    about a second, since the emulator never delivers again what is pushed with a retry policy and refused
    several at once. After `max_attempts` (5 to 100) it becomes a dead letter, unless nobody takes these.

    Raises:
        ConfigurationError: the project isn't emulated, a subscription takes from several topics, or the
            emulator refuses.
        PlatformUnavailable: the emulator doesn't answer.
    """
    if not project.is_emulated:
        raise ConfigurationError(
            f"The topics of the project {project.id} are Terraform's: they are made here on the emulator "
            "only (PLATFORM=emulators)."
        )
    _require_one_topic_each(topics)
    with _setup(project) as setup:
        from google.pubsub_v1 import types

        for topic in topics:
            setup.topic(project.id, topic, schemas.get(topic))
        retry_policy = None
        if push_url is None:
            retry_policy = types.RetryPolicy(
                minimum_backoff=timedelta(seconds=first_seconds),
                maximum_backoff=timedelta(seconds=longest_seconds),
            )
        dead_letter_policy = types.DeadLetterPolicy(
            dead_letter_topic=f"projects/{project.id}/topics/{DEAD_LETTERS}",
            max_delivery_attempts=max_attempts,
        )
        for topic, name in ((topic, name) for topic, names in topics.items() for name in names):
            setup.subscription(
                types.Subscription(
                    name=f"projects/{project.id}/subscriptions/{name}",
                    topic=f"projects/{project.id}/topics/{topic}",
                    push_config=types.PushConfig(push_endpoint="" if push_url is None else push_url(name)),
                    ack_deadline_seconds=ack_seconds,
                    retry_policy=retry_policy,
                    dead_letter_policy=dead_letter_policy if gives_up(topics, name) else None,
                )
            )


@dataclass(frozen=True)
class _Setup:
    publisher: PublisherClient
    schemas: SchemaServiceClient
    subscriber: SubscriberClient
    retry: Retry
    timeout_seconds: float

    def topic(self, project_id: str, name: str, avro_schema: str | None) -> None:
        from google.api_core.exceptions import AlreadyExists
        from google.pubsub_v1 import types

        wanted = types.Topic(name=f"projects/{project_id}/topics/{name}")
        if avro_schema is not None:
            schema = types.Schema(type_=types.Schema.Type.AVRO, definition=avro_schema)
            asked = {"parent": f"projects/{project_id}", "schema": schema, "schema_id": name}
            with suppress(AlreadyExists):
                self.schemas.create_schema(request=asked, retry=self.retry, timeout=self.timeout_seconds)
            wanted.schema_settings = types.SchemaSettings(
                schema=f"projects/{project_id}/schemas/{name}", encoding=types.Encoding.JSON
            )
        with suppress(AlreadyExists):
            self.publisher.create_topic(request=wanted, retry=self.retry, timeout=self.timeout_seconds)

    def subscription(self, wanted: types.Subscription) -> None:
        from google.api_core.exceptions import AlreadyExists

        try:
            self.subscriber.create_subscription(
                request=wanted, retry=self.retry, timeout=self.timeout_seconds
            )
        except AlreadyExists:
            self._update(wanted)

    def _update(self, wanted: types.Subscription) -> None:
        found = self.subscriber.update_subscription(
            subscription=wanted,
            update_mask={"paths": _CHANGEABLE},
            retry=self.retry,
            timeout=self.timeout_seconds,
        )
        if found.topic != wanted.topic:
            raise ConfigurationError(
                f"{wanted.name} takes from {found.topic}, and can't be moved to {wanted.topic}: delete it."
            )


@contextmanager
def _setup(project: Project) -> Iterator[_Setup]:
    """The official clients on the emulator; their errors become ours."""
    import grpc
    from google.api_core.exceptions import ClientError, GoogleAPIError
    from google.api_core.retry import Retry
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1 import SchemaServiceClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    with grpc.insecure_channel(project.pubsub_url.partition("://")[2]) as channel:
        try:
            yield _Setup(
                PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
                SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel)),
                SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
                Retry(timeout=project.timeout_seconds),
                project.timeout_seconds,
            )
        except ClientError as error:
            raise ConfigurationError(f"The Pub/Sub emulator refuses: {error}") from error
        except GoogleAPIError as error:
            raise PlatformUnavailable(f"The Pub/Sub emulator failed: {error}") from error


def _require_one_topic_each(topics: Mapping[str, Sequence[str]]) -> None:
    times = Counter(name for names in topics.values() for name in names)
    several = sorted(name for name, count in times.items() if count > 1)
    if several:
        raise ConfigurationError(f"A subscription takes from one topic; {', '.join(several)} from several.")

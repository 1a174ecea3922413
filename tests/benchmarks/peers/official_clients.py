"""`predict` whose reads and publications go through Google's clients: what REST on the hot path saves."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, pubsub_v1, storage

import shared.platform.connect
import shared.serve
from shared.config import Settings
from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.values import WRITE_FIELD
from shared.platform.messages import message_of
from shared.platform.ports import Document, Event, Platform
from shared.platform.versioned import VersionedDocuments

PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]


class OfficialDocuments(FirestoreDocuments):
    def get(self, collection: str, id: str) -> Document | None:
        found = _firestore.collection(collection).document(id).get(timeout=10)
        data = found.to_dict()
        if data is None:
            return None
        return Document(id, {k: v for k, v in data.items() if k != WRITE_FIELD}, str(found.update_time))


class OfficialBlobs(GcsBlobs):
    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        del sha256
        content: bytes = _bucket.blob(name).download_as_bytes(timeout=10)
        return content


class OfficialEvents(PubsubEvents):
    def publish(self, topic: str, events: Sequence[Event]) -> None:
        path = _publisher.topic_path(PROJECT, topic)
        waits = []
        for event in events:
            message = message_of(event)
            data = json.dumps(event.data).encode()
            waits.append(_publisher.publish(path, data, **message["attributes"]))
        for wait in waits:
            wait.result(timeout=10)


def connected(settings: Settings) -> Platform:
    from dataclasses import replace

    platform = _connect(settings)
    documents = platform.documents
    blobs, events = platform.blobs, platform.events
    assert isinstance(documents, VersionedDocuments)
    assert isinstance(documents.stored, FirestoreDocuments)
    documents.stored.__class__ = OfficialDocuments
    blobs.__class__ = OfficialBlobs
    events.__class__ = OfficialEvents
    return replace(platform, documents=documents, blobs=blobs, events=events)


_firestore = firestore.Client(project=PROJECT)
_nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # partly typed
_bucket = storage.Client(project=PROJECT, credentials=_nobody).bucket(f"{PROJECT}-mlengine")
_publisher = pubsub_v1.PublisherClient(pubsub_v1.types.BatchSettings(max_messages=100, max_latency=0.001))
_connect = shared.platform.connect.connect
shared.platform.connect.connect = connected

if __name__ == "__main__":
    shared.serve.main()

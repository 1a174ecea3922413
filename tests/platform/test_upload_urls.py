"""Signed addresses of uploads: what is signed. That Cloud Storage heeds it can only be seen there."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from google.oauth2.service_account import Credentials

from shared.config import load_settings
from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.project import Project


@pytest.fixture
def blobs() -> GcsBlobs:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {
        "client_email": "uploads@p.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": "https://example.org/token",
    }
    credentials: Any = Credentials.from_service_account_info(info)  # type: ignore[no-untyped-call]

    class Keyed(GcsBlobs):
        _bucket = Client(project="p", credentials=credentials).bucket("bucket")

    chosen = load_settings(platform="gcp", google_cloud_project="a-project", blobs_url="gs://bucket")
    return Keyed(Project.of(chosen), None)  # type: ignore[arg-type]  # nothing is read here


def test_size_free_name_and_time_are_signed(blobs: GcsBlobs) -> None:
    made = blobs.upload_url("uploads/a/model", size_bytes=7, seconds=60)
    assert made is not None
    url = urlparse(made.url)
    query = {name: value[0] for name, value in parse_qs(url.query).items()}
    assert (url.scheme, url.hostname, url.path) == (
        "https",
        "storage.googleapis.com",
        "/bucket/uploads/a/model",
    )
    assert (made.method, query["X-Goog-Expires"]) == ("PUT", "60")
    assert made.headers["x-goog-content-length-range"] == "7,7"
    assert made.headers["x-goog-if-generation-match"] == "0"
    assert set(made.headers) < set(query["X-Goog-SignedHeaders"].split(";"))


def test_a_token_that_may_sign_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """IAM signs for tokens of `iam` or `cloud-platform` alone: where one only reaches storage, it refuses."""
    asked: list[list[str]] = []

    def default(scopes: list[str]) -> tuple[AnonymousCredentials, str]:
        asked.append(scopes)
        return AnonymousCredentials(), "p"  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.auth.default", default)
    chosen = load_settings(platform="gcp", google_cloud_project="a-project", blobs_url="gs://bucket")
    GcsBlobs(Project.of(chosen), None)._credentials()  # type: ignore[arg-type]  # nothing is read here
    assert asked == [["https://www.googleapis.com/auth/cloud-platform"]]

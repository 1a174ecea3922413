"""Blobs in Cloud Storage: `a/b.json` is the object of that name, with its sha256 in its metadata.

Writing, listing and deleting use Google's client; reading is one REST call, so that the functions that
only read don't load it.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.errors import AlreadyExists, ConfigurationError, CorruptBlob, NotFound, PlatformUnavailable
from shared.platform.gcp.blob_errors import translated
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import MAX_CONNECTIONS, GoogleRest
from shared.platform.names import is_blob_name, is_blob_prefix, require_blob_name
from shared.platform.ports import BlobInfo, BlobPart, UploadUrl

if TYPE_CHECKING:
    import httpx
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.cloud.storage import Bucket

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What signing by IAM asks of a token; the roles of the account are what limits it."""

_LISTED = "items(name,size,metadata),nextPageToken"
_SHA256 = "sha256"
_OUTSIDE = 416  # a range that begins behind the end
_WRITER = "writer"  # a random word of each `put`: tells whose upload took a name
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
_NO_BUCKET_LOOKUP = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


class GcsBlobs:
    """The Blobs port on the project's bucket.

    An object without a recorded sha256 was put there by somebody else, and isn't a blob: it isn't
    listed, and `get` needs to be told its checksum.
    """

    def __init__(self, project: Project, rest: GoogleRest) -> None:
        self._project = project
        self._rest = rest

    def put(self, name: str, content: bytes) -> str:
        require_blob_name(name)
        metadata = {_SHA256: hashlib.sha256(content).hexdigest(), _WRITER: secrets.token_hex(16)}
        try:
            self._upload(name, content, metadata)
        except AlreadyExists:
            if not self._has(name, metadata):  # else an earlier attempt of ours took the name
                raise
        return metadata[_SHA256]

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        params = {"alt": "media"}
        if sha256 is None:
            found = self._describe(name)
            sha256 = _metadata(found).get(_SHA256)
            params["generation"] = str(found["generation"])
        content = self._read(name, params).content
        actual = hashlib.sha256(content).hexdigest()
        if actual != sha256:
            raise CorruptBlob(f"The blob {name} has sha256 {actual}, expected {sha256 or 'one on record'}.")
        return content

    def part(self, name: str, *, start: int, size_bytes: int) -> BlobPart:
        wanted = {"range": f"bytes={start}-{start + size_bytes - 1}"}
        answer = self._read(name, {"alt": "media"}, wanted)
        if answer.status_code == _OUTSIDE:
            return BlobPart(b"", int(self._read(name, {"fields": "size"}).json()["size"]))
        return BlobPart(answer.content, int(answer.headers["content-range"].rpartition("/")[2]))

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        if not is_blob_prefix(prefix):
            return
        with translated(f"list {self._place(prefix)}"):
            found = self._bucket.client.list_blobs(
                self._bucket,
                prefix=prefix,
                fields=_LISTED,
                timeout=self._attempt_seconds,
                retry=self._retry(),
            )
            for one in found:
                if sha256 := (one.metadata or {}).get(_SHA256):
                    yield BlobInfo(one.name, one.size, sha256)

    def delete(self, name: str) -> None:
        if not is_blob_name(name):
            return
        from google.api_core.exceptions import NotFound as NoSuchObject

        with translated(f"delete {self._place(name)}"):
            try:
                self._bucket.blob(name).delete(timeout=self._attempt_seconds, retry=self._retry())
            except NoSuchObject:
                return

    def upload_url(self, name: str, *, size_bytes: int, seconds: int) -> UploadUrl | None:
        """A signed URL (V4). Cloud Storage itself sees to the size, and to the name being free.

        Where the credentials hold no key, as on Cloud Run, IAM signs: that needs the right
        `iam.serviceAccounts.signBlob` of the service account on itself. The emulator takes no such URL.
        """
        require_blob_name(name)
        if self._project.is_emulated:
            return None
        headers = {
            "content-type": "application/octet-stream",
            "x-goog-content-length-range": f"{size_bytes},{size_bytes}",
            "x-goog-if-generation-match": "0",
        }
        with translated(f"sign a URL for {self._place(name)}"):
            url = self._bucket.blob(name).generate_signed_url(
                version="v4", expiration=seconds, method="PUT", headers=dict(headers), **self._signer()
            )
        return UploadUrl(url, "PUT", headers)

    def _signer(self) -> dict[str, Any]:
        """Who signs: the credentials' own key, or IAM in their name."""
        import google.auth.credentials
        from google.auth.transport.requests import Request

        credentials = self._bucket.client._credentials  # noqa: SLF001 - the client publishes them nowhere
        if isinstance(credentials, google.auth.credentials.Signing):
            return {"credentials": credentials}
        credentials.refresh(Request())
        email, token = credentials.service_account_email, credentials.token
        return {"service_account_email": email, "access_token": token}

    def _upload(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Both checksums reach the service before the object is there: it keeps only what arrived whole."""
        import google_crc32c

        with translated(f"put {self._place(name)}"):
            blob = self._bucket.blob(name)
            blob.metadata = dict(metadata)
            blob.upload_from_file(
                io.BytesIO(content),
                size=len(content),
                content_type="application/octet-stream",
                if_generation_match=0,
                checksum="crc32c",
                crc32c_checksum_value=b64encode(google_crc32c.value(content).to_bytes(4)).decode(),
                timeout=self._attempt_seconds,
                retry=self._retry(),
            )

    def _has(self, name: str, metadata: Mapping[str, str]) -> bool:
        try:
            return _metadata(self._describe(name)) == metadata
        except NotFound:  # whoever took the name has given it up
            return False

    def _describe(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._read(name, {"fields": "generation,metadata"}).json()
        return found

    def _read(
        self, name: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        if not is_blob_name(name):
            raise NotFound(f"There is no blob {name!r}.")
        bucket = f"{self._project.storage_url}/storage/v1/b/{self._project.bucket}/o"
        try:
            response = self._rest.call(
                "GET", f"{bucket}/{quote(name, safe='')}", params=params, headers=headers
            )
        except ConfigurationError:
            if self._is_listed(bucket, name):
                raise
            raise NotFound(f"There is no blob {name}.") from None
        if response.status_code == 404:
            raise NotFound(f"There is no blob {name}.")
        if response.status_code not in ((200,) if headers is None else (206, _OUTSIDE)):
            raise PlatformUnavailable(
                f"Cloud Storage doesn't give {self._place(name)}: it answers {response.status_code}."
            )
        return response

    def _is_listed(self, bucket: str, name: str) -> bool:
        """Whether an object that may not be read is there. Who may list a part of a bucket only isn't told
        that an object there is missing: Cloud Storage answers as if it were forbidden.

        Raises:
            ConfigurationError: it may not be listed either.
        """
        params = {"prefix": name, "fields": "items(name)"}
        found = self._rest.call("GET", bucket, params=params).json()
        return any(one["name"] == name for one in found.get("items", ()))

    def _place(self, name: str) -> str:
        return f"gs://{self._project.bucket}/{name}"

    @property
    def _attempt_seconds(self) -> float:
        """A call that is stuck leaves time for another."""
        return self._project.timeout_seconds / 2

    def _retry(self) -> Retry:
        from google.cloud.storage.retry import DEFAULT_RETRY

        retry: Retry = DEFAULT_RETRY.with_timeout(self._project.timeout_seconds).with_delay(
            initial=_FIRST_WAIT_SECONDS, maximum=_LONGEST_WAIT_SECONDS
        )
        return retry

    @cached_property
    def _bucket(self) -> Bucket:
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud.storage import Client
        from requests.adapters import HTTPAdapter

        # Else the client asks for the bucket in the background, for traces that nobody collects here:
        # one more call of every instance, with a right that it doesn't have.
        os.environ.setdefault(_NO_BUCKET_LOOKUP, "true")
        credentials = self._credentials()
        session = AuthorizedSession(  # type: ignore[no-untyped-call]  # partly typed
            credentials, refresh_timeout=self._project.timeout_seconds
        )
        session.trust_env = not self._project.is_emulated
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=MAX_CONNECTIONS))
        client = Client(
            project=self._project.id,
            credentials=credentials,
            _http=session,
            client_options={"api_endpoint": self._project.storage_url},
        )
        return client.bucket(self._project.bucket)

    def _credentials(self) -> Credentials:
        import google.auth
        from google.auth.credentials import AnonymousCredentials

        if self._project.is_emulated:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]  # the same
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        return credentials


def _metadata(found: Mapping[str, Any]) -> Mapping[str, str]:
    metadata: Mapping[str, str] = found.get("metadata") or {}
    return metadata

"""Blobs in an S3 bucket: `a/b.json` is the object of that key, with its sha256 in its metadata."""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from shared.errors import AlreadyExists, CorruptBlob, NotFound, PlatformUnavailable
from shared.platform.names import is_blob_name, is_blob_prefix, require_blob_name
from shared.platform.ports import BlobInfo, BlobPart, UploadUrl
from shared.platform.s3.errors import CONTENDED, code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")

ATTEMPTS = 3
MAX_CONNECTIONS = 32
_HEADS_AT_ONCE = 8
_SHA256 = "sha256"
_WRITER = "writer"  # a random word of each `put`: tells whose upload took a name
_LONGEST_WAIT_SECONDS = 0.5


class S3Blobs:
    """The Blobs port on a bucket of S3, or of a service that speaks like it.

    Region, credentials and AWS_ENDPOINT_URL come from the environment, as boto3 reads it. An attempt
    may take half of `timeout_seconds`. An object without a recorded sha256 was put there by somebody
    else, and isn't a blob: it isn't listed, and `get` needs to be told its checksum.
    """

    def __init__(self, bucket: str, *, timeout_seconds: float) -> None:
        self._bucket = bucket
        self._timeout_seconds = timeout_seconds

    def put(self, name: str, content: bytes) -> str:
        require_blob_name(name)
        digest = hashlib.sha256(content)
        metadata = {_SHA256: digest.hexdigest(), _WRITER: secrets.token_hex(16)}

        def upload() -> None:
            with translated(f"put {self._place(name)}"):
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=name,
                    Body=content,
                    IfNoneMatch="*",
                    ChecksumSHA256=b64encode(digest.digest()).decode(),  # only what arrived whole is kept
                    ContentType="application/octet-stream",
                    Metadata=metadata,
                )

        try:
            _again(upload, where=_was_contended)
        except AlreadyExists:
            if not self._has(name, metadata):  # else an earlier attempt of ours took the name
                raise
        return metadata[_SHA256]

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        if not is_blob_name(name):
            raise NotFound(f"There is no blob {name!r}.")
        recorded, content = _again(lambda: self._download(name), where=_was_cut)
        expected = sha256 or recorded
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected:
            raise CorruptBlob(f"The blob {name} has sha256 {actual}, expected {expected or 'one on record'}.")
        return content

    def part(self, name: str, *, start: int, size_bytes: int) -> BlobPart:
        if not is_blob_name(name):
            raise NotFound(f"There is no blob {name!r}.")
        total, _ = self._describe(name)
        if start >= total:
            return BlobPart(b"", total)
        end = min(start + size_bytes, total) - 1
        return BlobPart(_again(lambda: self._download_part(name, start, end), where=_was_cut), total)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        if not is_blob_prefix(prefix):
            return
        pool = ThreadPoolExecutor(_HEADS_AT_ONCE, thread_name_prefix="s3-list")
        try:
            with translated(f"list {self._place(prefix)}"):
                pages = self._client.get_paginator("list_objects_v2").paginate(
                    Bucket=self._bucket, Prefix=prefix
                )
                for page in pages:
                    names = [one["Key"] for one in page.get("Contents", ())]
                    yield from filter(None, pool.map(self._info, names))
        finally:
            pool.shutdown(cancel_futures=True)

    def delete(self, name: str) -> None:
        if is_blob_name(name):
            with translated(f"delete {self._place(name)}"):
                self._client.delete_object(Bucket=self._bucket, Key=name)

    def upload_url(self, name: str, *, size_bytes: int, seconds: int) -> UploadUrl | None:
        """A signed URL (AWS's signature, version 4), of the size and of the name being free, too."""
        require_blob_name(name)
        headers = {"content-type": "application/octet-stream", "if-none-match": "*"}
        with translated(f"sign a URL for {self._place(name)}"):
            url = self._client.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": name,
                    "ContentLength": size_bytes,
                    "ContentType": headers["content-type"],
                    "IfNoneMatch": headers["if-none-match"],
                },
                ExpiresIn=seconds,
            )
        return UploadUrl(url, "PUT", headers)

    def _download(self, name: str) -> tuple[str | None, bytes]:
        """The recorded sha256 and the content."""
        with translated(f"get {self._place(name)}"):
            found = self._client.get_object(Bucket=self._bucket, Key=name)
            with found["Body"] as body:
                return found["Metadata"].get(_SHA256), body.read()

    def _download_part(self, name: str, start: int, end: int) -> bytes:
        with translated(f"get a part of {self._place(name)}"):
            found = self._client.get_object(Bucket=self._bucket, Key=name, Range=f"bytes={start}-{end}")
            with found["Body"] as body:
                return body.read()

    def _info(self, name: str) -> BlobInfo | None:
        """None for what isn't a blob, or is gone."""
        try:
            size_bytes, metadata = self._describe(name)
        except NotFound:
            return None
        sha256 = metadata.get(_SHA256)
        return None if sha256 is None else BlobInfo(name, size_bytes, sha256)

    def _has(self, name: str, metadata: Mapping[str, str]) -> bool:
        try:
            return self._describe(name)[1] == metadata
        except NotFound:  # whoever took the name has given it up
            return False

    def _describe(self, name: str) -> tuple[int, Mapping[str, str]]:
        with translated(f"look at {self._place(name)}"):
            found = self._client.head_object(Bucket=self._bucket, Key=name)
        return found["ContentLength"], found["Metadata"]

    def _place(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"

    @cached_property
    def _client(self) -> S3Client:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=self._timeout_seconds / 2,
            read_timeout=self._timeout_seconds / 2,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=MAX_CONNECTIONS,
            signature_version="s3v4",  # else URLs are signed as S3 did at first, without the headers
            request_checksum_calculation="when_required",  # we send our own, and check what we get
            response_checksum_validation="when_required",
        )
        return boto3.session.Session().client("s3", config=config)


def _again(act: Callable[[], T], *, where: Callable[[PlatformUnavailable], bool]) -> T:
    """What `act` gives; made anew for the failures that boto3 doesn't retry itself."""
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except PlatformUnavailable as error:
            if not where(error):
                raise
            time.sleep(random.random() * _LONGEST_WAIT_SECONDS)  # noqa: S311 - spreads calls, hides nothing
    return act()


def _was_contended(error: PlatformUnavailable) -> bool:
    from botocore.exceptions import ClientError

    return isinstance(error.__cause__, ClientError) and code_of(error.__cause__) == CONTENDED


def _was_cut(error: PlatformUnavailable) -> bool:
    """Whether the answer began to come, and then no more."""
    from botocore.exceptions import IncompleteReadError, ResponseStreamingError
    from urllib3.exceptions import ProtocolError

    return isinstance(error.__cause__, (IncompleteReadError, ResponseStreamingError, ProtocolError))

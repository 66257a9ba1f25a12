"""Object store URLs: what each names, and a clear refusal of everything else."""

from pathlib import Path

import pytest
from coldstream.storage.directory_store import DirectoryStore
from coldstream.storage.store_url import (
    DirectoryLocation,
    InvalidStoreUrl,
    S3Location,
    file_url,
    open_store,
    parse_store_url,
)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("file:///var/lib/objects", DirectoryLocation(Path("/var/lib/objects"))),
        ("file://localhost/var/lib/", DirectoryLocation(Path("/var/lib"))),
        ("file:///with%20space/x", DirectoryLocation(Path("/with space/x"))),
        ("file:///a/../b", DirectoryLocation(Path("/b"))),
        ("s3://bucket", S3Location("bucket")),
        ("s3://bucket/", S3Location("bucket")),
        ("s3://my.bucket-1/a/b/", S3Location("my.bucket-1", "a/b/")),
        ("s3://bucket/p?endpoint=http://127.0.0.1:9000", S3Location("bucket", "p/", "http://127.0.0.1:9000")),
        ("s3://bucket?endpoint=https%3A%2F%2Fs3.example.org/", S3Location("bucket", "", "https://s3.example.org")),
        ("s3://bucket?endpoint=http://[::1]:9000", S3Location("bucket", "", "http://[::1]:9000")),
        ("s3://bucket?region=eu-central-1", S3Location("bucket", region="eu-central-1")),
    ],
)
def test_a_url_names_a_place(url: str, location: DirectoryLocation | S3Location) -> None:
    assert parse_store_url(url, environ={}) == location


def test_the_region_comes_from_the_url_then_from_the_usual_variables() -> None:
    environ = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "ap-south-1"}
    assert parse_store_url("s3://bucket", environ) == S3Location("bucket", region="eu-west-1")
    assert parse_store_url("s3://bucket?region=us-west-2", environ) == S3Location("bucket", region="us-west-2")
    del environ["AWS_REGION"]
    assert parse_store_url("s3://bucket", environ) == S3Location("bucket", region="ap-south-1")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "file:///dir or s3://"),
        ("/var/lib/objects", "file:///dir or s3://"),
        ("http://host/bucket", "no object store has the scheme 'http'"),
        ("file://var/lib", "three slashes"),
        ("file:///", "not / itself"),
        ("file:///a?b=c", "three slashes"),
        ("s3://", "not a bucket"),
        ("s3://UPPER", "not a bucket"),
        ("s3://a..b", "not a bucket"),
        ("s3://bucket:9000/x", "not a bucket"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/../x", "prefix"),
        ("s3://bucket/a b", "prefix"),
        ("s3://bucket#x", "fragment"),
        ("s3://bucket?endpoint=127.0.0.1:9000", "http://HOST:PORT"),
        ("s3://bucket?endpoint=http://h/path", "http://HOST:PORT"),
        ("s3://bucket?endpoint=http://h:99999", "http://HOST:PORT"),
        ("s3://bucket?endpoint=http://u:p@h", "http://HOST:PORT"),
        ("s3://bucket?region=a%20b", "not the name of a region"),
        ("s3://bucket?endpont=http://h", "unknown option 'endpont'"),
        ("s3://bucket?region=a&region=b", "given twice"),
        ("s3://[bucket", "not an object store URL"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(url: str, says: str) -> None:
    with pytest.raises(InvalidStoreUrl, match="(?s).*" + says.replace("?", r"\?")):
        parse_store_url(url, environ={})


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidStoreUrl) as caught:
        parse_store_url("s3://AKIA123:hunter2@bucket/x", environ={})
    assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)
    assert "hunter2" not in str(caught.value) and "AKIA123" not in str(caught.value)


def test_a_directory_store_opens_from_the_url_of_its_directory(tmp_path: Path) -> None:
    url = file_url(tmp_path / "a b%c")
    assert parse_store_url(url) == DirectoryLocation(tmp_path / "a b%c")
    assert isinstance(open_store(url), DirectoryStore)

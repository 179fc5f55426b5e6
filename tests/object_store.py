"""An object store on this machine, for paths that are URLs."""

import contextlib
import itertools
import logging

import boto3
from moto.server import ThreadedMotoServer

NUMBERS = itertools.count()


@contextlib.contextmanager
def running(monkeypatch):
    """Serves S3 on a free port; what clients need to find it is in the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "no_proxy": "127.0.0.1,localhost",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        yield boto3.client("s3")
    finally:
        server.stop()


class Bucket:
    """A bucket, seen by another client than jaxart's.

    Attributes:
      url: of the bucket.
    """

    def __init__(self, client):
        self._client = client
        self._name = f"bucket-{next(NUMBERS)}"
        self.url = f"s3://{self._name}"
        client.create_bucket(Bucket=self._name)

    def keys(self, prefix=""):
        """All keys that begin so."""
        pages = self._client.get_paginator("list_objects_v2")
        pages = pages.paginate(Bucket=self._name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def get(self, key):
        """An object's content."""
        return self._client.get_object(Bucket=self._name, Key=key)["Body"].read()

    def put(self, key, content):
        """Makes an object."""
        self._client.put_object(Bucket=self._name, Key=key, Body=content)

    def put_folder(self, folder, prefix):
        """Makes objects of all files in a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self.put(key, path.read_bytes())

    def modified(self, prefix=""):
        """When each object that begins so was made: its version."""
        return {key: self._head(key)["LastModified"] for key in self.keys(prefix)}

    def _head(self, key):
        return self._client.head_object(Bucket=self._name, Key=key)

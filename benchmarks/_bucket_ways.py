"""Ways of deleting every version under a prefix, each in a process of its own so that its CPU can be told.

`python -m benchmarks._bucket_ways WAY URL` prints seconds, CPU seconds and the most memory of the work,
without the start of Python.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import boto3
from botocore.config import Config

from benchmarks import own_peak
from deleatur.api import Step, Target
from deleatur_plugins.s3 import S3Backend
from deleatur_plugins.s3.address import address_of
from deleatur_plugins.s3.backend import ACTION, TECHNIQUE
from deleatur_plugins.s3.connecting import Session
from deleatur_plugins.s3.content import Choice, Going
from deleatur_plugins.s3.deleting import delete

SECRETS = {"digest-key": bytes(32)}


def whole(url: str) -> None:
    """Delete as a job does: trial, listing, deletion, three fresh listings."""
    step = Step(id="s1", target="t", technique=TECHNIQUE, action=ACTION, compare="none")
    with closing(S3Backend.open(Target(id="t", url=url), SECRETS)) as backend:
        for _ in backend.erase(step, None):
            pass


def client(url: str) -> None:
    """List, delete and list again, without the trial, which no null server passes."""
    with closing(Session(address_of(url))) as session:
        choice = Choice(session, Target(id="t", url=url), SECRETS, locks=False)
        with Going(choice, session, SECRETS) as going:
            for _ in delete(session, going.others, going.markers, 0):
                pass


def boto3_loop(url: str) -> None:
    """Delete page by page, as examples do."""
    address = address_of(url)
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    s3: Any = boto3.client("s3", endpoint_url=address.endpoint, region_name="us-east-1", config=config)
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=address.bucket, Prefix=address.prefix)
    for page in pages:
        some = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        named = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in some]
        if named:
            s3.delete_objects(Bucket=address.bucket, Delete={"Objects": named, "Quiet": True})


WAYS: dict[str, Callable[[str], None]] = {"whole": whole, "client": client, "boto3": boto3_loop}


if __name__ == "__main__":
    begun, used = time.perf_counter(), time.process_time()
    WAYS[sys.argv[1]](sys.argv[2])
    taken = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - used, "peak": own_peak()}
    print(json.dumps(taken))

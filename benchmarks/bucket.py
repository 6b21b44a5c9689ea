"""Measure how fast all versions of a bucket are deleted, beside rclone, s5cmd and a plain loop of boto3.

Three parts: the same bucket on SeaweedFS for each of them; our client alone against a server with nothing
behind it, small and large; and against one that refuses what comes faster than its rate. CPU is that of
the client's whole process on SeaweedFS, start included, and of the work alone elsewhere. Prints ratios to
our own, and `RESULT bucket FIGURE versions/CPU-second ok|short`; short means that a promise is missed:
10,000 versions in a second of CPU, memory below 120 MB and alike, 90 % of a server's rate with less than 1 %
refused and, with a whole bucket, ahead of each of the others in versions a second and in CPU a version.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.s3_server import KEY, OPTIONS, SECRET, Server, s3_server

from benchmarks import result

VERSIONS = 3  # of each key
CEILING = 10_000  # versions in a second of CPU, from issue 6
MEMORY = 120e6  # bytes
GROWTH = (
    1.25  # of a hundred times as many versions; the small run ends before its batches have their full size
)
RATE, HELD, REFUSED = 3_500, 0.9, 0.01  # keys a second of one partition of Amazon S3; shares
PEERS = {
    "s5cmd": "s5cmd --endpoint-url {endpoint} rm --all-versions s3://{bucket}/goes/*",
    "rclone": "rclone delete --config /dev/null --s3-provider Other --s3-env-auth --s3-region us-east-1 "
    "--s3-endpoint {endpoint} --s3-versions :s3:{bucket}/goes",
}
OURS = "deleatur"


@dataclass(frozen=True)
class Took:
    """What one way took for some versions."""

    versions: int
    seconds: float
    cpu: float  # seconds
    left: int

    @property
    def rate(self) -> float:
        return self.versions / self.seconds

    @property
    def each(self) -> float:
        """Return the CPU of one version, in microseconds."""
        return self.cpu / self.versions * 1e6


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="600 versions on SeaweedFS, 100,000 without")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="bucket-") as folder:
        environment = _environment(Path(folder))
        good = _beside_others(environment, keys=200 if quick else 20_000) or quick
        rate, well = _alone(environment, (10_000, 100_000 if quick else 1_000_000))
        held = _held(environment, versions=35_000 if quick else 350_000) or quick
    return result("bucket", f"{rate:.0f}", "versions/CPU-second", good=good and well and held)


def _environment(folder: Path) -> dict[str, str]:
    options = folder / "s3.ini"
    options.write_text(OPTIONS)
    options.chmod(0o600)
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    programs = (
        f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # peers come with the project's environment
    )
    return {**os.environ, **keys, "DELEATUR_S3_OPTIONS": str(options), "PATH": programs}


# --- the same bucket for each


def _beside_others(environment: dict[str, str], keys: int) -> bool:
    """Compare on SeaweedFS; say whether we are ahead of everybody, and nothing of ours was left."""
    missing = [name for name in PEERS if not shutil.which(name, path=environment["PATH"])]
    if missing:
        print(f"not installed, so not measured: {', '.join(missing)}")
    ways = [OURS, "boto3", *(name for name in PEERS if name not in missing)]
    with s3_server() as server:
        took = {way: _on_seaweedfs(server, way, environment, keys) for way in ways}
    ours = took[OURS]
    print(f"SeaweedFS, {keys} keys of {VERSIONS} versions; ratios to {OURS}")
    print(f"{'way':<10} {'versions/s':>10} {'ratio':>6} {'CPU us each':>12} {'ratio':>6} {'left':>6}")
    for way, one in took.items():
        rates, cpus = one.rate / ours.rate, one.each / ours.each
        print(f"{way:<10} {one.rate:>10.0f} {rates:>6.2f} {one.each:>12.0f} {cpus:>6.2f} {one.left:>6}")
    others = [one for way, one in took.items() if way != OURS and not one.left]
    return not ours.left and all(ours.rate > one.rate and ours.each < one.each for one in others)


def _on_seaweedfs(server: Server, way: str, environment: dict[str, str], keys: int) -> Took:
    client, bucket, scratch = server.client, f"bucket-{way}", f"scratch-{way}"
    for name in (bucket, scratch):
        client.make_bucket(name)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(VERSIONS):
            list(pool.map(lambda number: client.put(bucket, f"goes/{number:06}", b"content"), range(keys)))
    url = f"s3://{bucket}/goes/?endpoint={server.endpoint}&scratch={scratch}"
    command = [sys.executable, "-m", "benchmarks._bucket_ways", "whole" if way == OURS else way, url]
    if way in PEERS:
        command = PEERS[way].format(endpoint=server.endpoint, bucket=bucket).split()
    begun, before = time.perf_counter(), os.times()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(keys * VERSIONS, seconds, cpu, len(client.names(bucket, "goes/")))


# --- our client alone


@contextmanager
def _null(versions: int, limit: float = 0) -> Iterator[str]:
    """Start a server with nothing behind it; yield its endpoint."""
    words = [sys.executable, "-m", "benchmarks._null_bucket", str(versions), str(limit)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _client(environment: dict[str, str], endpoint: str) -> dict[str, float]:
    url = f"s3://bucket/goes/?endpoint={endpoint}&scratch=scratch"
    words = [sys.executable, "-m", "benchmarks._bucket_ways", "client", url]
    told = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    numbers: dict[str, float] = json.loads(told)
    return numbers


def _alone(environment: dict[str, str], sizes: tuple[int, int]) -> tuple[float, bool]:
    """Measure the client's ceiling; return it, and whether it and the memory are as promised."""
    print(f"no server behind it\n{'versions':<10} {'versions/s':>10} {'a CPU-second':>12} {'peak MB':>8}")
    rates, peaks = [], []
    for versions in sizes:
        with _null(versions) as endpoint:
            took = _client(environment, endpoint)
        rates.append(versions / took["cpu"])
        peaks.append(took["peak"])
        print(
            f"{versions:<10} {versions / took['seconds']:>10.0f} {rates[-1]:>12.0f} {peaks[-1] / 1e6:>8.0f}"
        )
    return rates[-1], rates[-1] >= CEILING and max(peaks) < MEMORY and peaks[1] < GROWTH * peaks[0]


def _held(environment: dict[str, str], versions: int) -> bool:
    """Measure how closely a server's rate is held; say whether it is as promised."""
    with _null(versions, RATE) as endpoint:
        _client(environment, endpoint)
        with urllib.request.urlopen(f"{endpoint}/?counted") as answer:
            counted: dict[str, Any] = json.load(answer)
    used = counted["taken"] / (RATE * counted["seconds"])
    refused = counted["refused"] / (counted["taken"] + counted["refused"])
    print(
        f"a server that takes {RATE} keys a second: {used:.1%} of it used, {refused:.2%} of the keys refused"
    )
    return used >= HELD and refused < REFUSED


if __name__ == "__main__":
    sys.exit(main())

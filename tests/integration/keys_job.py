"""The job that forgets people by their keys, wherever those lie."""

from collections.abc import Iterable

from deleatur.documents.certificate import Certificate
from deleatur.engine.directory import JobDirectory
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

JOB = """
schema = "deleatur/job/v1"
name = "forget"
reason = "subject-request"
authority = "request 17"
requested_by = "clerk-7"
[verification]
device = {device}
[[target]]
id = "people"
url = "{url}"
[[target.select]]
table = "keys"
where = [{{ column = "subject", operator = "in", values_from = "gone.txt" }}]
"""


def keys_job(url: str, *, device: bool = False) -> str:
    """Return a job over the keys at a URL, of the people that gone.txt lists."""
    return JOB.format(url=url, device=str(device).lower())


def approved(bench: Workbench, text: str, gone: Iterable[str]) -> JobDirectory:
    """Make, plan and approve such a job."""
    directory = bench.job(text)
    (directory.path / "gone.txt").write_text("\n".join(gone))
    bench.plan(directory)
    bench.approve(directory)
    return directory


def certificate(bench: Workbench, directory: JobDirectory) -> Certificate:
    """Return the certificate, which the agent has signed."""
    trusted = [bench.agent.public]
    return verify(directory.certificate, trusted=trusted, threshold=1, about=None).certificate


def written(directory: JobDirectory) -> bytes:
    """Return all that lies in the job's directory, but the list that its owner wrote."""
    files = (path for path in directory.path.rglob("*") if path.is_file() and path.name != "gone.txt")
    return b"".join(path.read_bytes() for path in files)

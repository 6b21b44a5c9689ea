"""The job that forgets people by their keys, wherever those lie."""

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

"""The text of a job that erases the rows of those who leave, as most tests of a database need it."""

LEAVES = """table = "account"
where = [{ column = "leaves", operator = "=", value = 1 }]"""


def job_of_leavers(url: str, select: str = LEAVES) -> str:
    """Return a job.toml that erases what `select` chooses; the device below is not read."""
    return f"""
schema = "deleatur/job/v1"
name = "accounts"
reason = "other"
authority = "a test"
requested_by = "tester"
[[target]]
id = "accounts"
url = "{url}"
[[target.select]]
{select}
"""

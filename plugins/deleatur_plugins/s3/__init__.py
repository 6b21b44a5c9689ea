"""Objects of a bucket behind an S3 interface: every version, marker and unfinished upload."""

from deleatur_plugins.s3.backend import S3Backend

__all__ = ["S3Backend"]

"""Rows inside the objects of a bucket: CSV, JSON lines (plain, gzip, zstd) and Parquet."""

from deleatur_plugins.s3.inside.backend import S3RowsBackend

__all__ = ["S3RowsBackend"]

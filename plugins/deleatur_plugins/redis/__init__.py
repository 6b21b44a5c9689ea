"""Keys of Redis and Valkey servers, erased down to the server's snapshot and log."""

from deleatur_plugins.redis.backend import RedisBackend

__all__ = ["RedisBackend"]

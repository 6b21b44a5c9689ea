"""What the user of the job may do on the server, and the least that is missing, as words for ACL SETUSER."""

from deleatur.api import Failed, Refused
from deleatur_plugins.redis.connecting import Command, Session

_KEY = "deleatur:erasing"
_READING: tuple[Command, ...] = (
    ("SCAN", 0), ("TYPE", _KEY), ("PTTL", _KEY), ("EXISTS", _KEY), ("GET", _KEY), ("HGETALL", _KEY),
    ("HGET", _KEY, "f"), ("HEXISTS", _KEY, "f"), ("LRANGE", _KEY, 0, 1), ("LINDEX", _KEY, 0),
    ("SMEMBERS", _KEY), ("SISMEMBER", _KEY, "m"), ("ZRANGE", _KEY, 0, 1), ("ZSCORE", _KEY, "m"),
    ("XRANGE", _KEY, "-", "+"), ("DUMP", _KEY), ("SELECT", 0), ("INFO",),
)  # fmt: skip
_DELETING: tuple[Command, ...] = (
    ("WATCH", _KEY), ("UNWATCH",), ("MULTI",), ("EXEC",), ("HSET", _KEY, "f", "v"), ("DEL", _KEY),
)  # fmt: skip
_SAVING: tuple[Command, ...] = (
    ("CONFIG", "GET", "*"), ("CONFIG", "SET", "save", ""), ("BGSAVE",), ("BGREWRITEAOF",), ("CLIENT", "LIST"),
    ("SLOWLOG", "RESET"), ("ACL", "LOG", "RESET"),
)  # fmt: skip
_TWO = frozenset({"CONFIG", "CLIENT", "SLOWLOG", "ACL"})  # commands whose second word is part of the name


def missing(session: Session, *, files: bool) -> tuple[str, ...]:
    """Return what the user lacks, such as `+bgsave`; none if it may do everything that is needed."""
    try:
        user = session.text("ACL", "WHOAMI")
        needs = (*_READING, *_DELETING, *(_SAVING if files else ()))
        told = session.ask_all([("ACL", "DRYRUN", user, *need) for need in needs])
    except Refused:
        return ("+acl|whoami", "+acl|dryrun")
    except (
        Failed
    ):  # a managed server that has no lists of rights: what is not allowed is refused when it is asked
        return ()
    lacking = [(need, answer) for need, answer in zip(needs, told, strict=True) if answer != b"OK"]
    commands = [_name(need) for need, answer in lacking if b"command" in answer]
    keys = ["~*"] if any(b"access" in answer for _, answer in lacking) else []
    return (*commands, *keys)


def _name(need: Command) -> str:
    words = [str(word).lower() for word in need[:2]]
    return f"+{words[0]}|{words[1]}" if str(need[0]) in _TWO else f"+{words[0]}"

"""What a bucket says of itself: versions, locks, and where else its objects and their keys lie.

Rules kept: what is not known is named, never taken for "there is none"; only questions are asked here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deleatur.api import Surface
from deleatur_plugins.s3.connecting import Denied, NoAnswer, Session

_NONE = {  # question: the server's word for "there is none"
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
}
_QUESTIONS = (
    "GetBucketVersioning",
    "GetObjectLockConfiguration",
    "GetBucketReplication",
    "GetBucketLifecycleConfiguration",
    "ListBucketInventoryConfigurations",
    "GetBucketLogging",
    "GetBucketEncryption",
)
_MEANS = {  # question: what it is about, in the words of a surface
    "GetBucketVersioning": "versions",
    "GetObjectLockConfiguration": "locks",
    "GetBucketReplication": "replicas",
    "GetBucketLifecycleConfiguration": "rules that move or expire objects",
    "ListBucketInventoryConfigurations": "inventory reports",
    "GetBucketLogging": "access logs",
    "GetBucketEncryption": "encryption",
}


@dataclass
class Facts:
    """Each answer by its question: what the server said, {} for "there is none"."""

    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)  # question: the server's code
    denied: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, session: Session) -> "Facts":
        """Ask everything."""
        facts = cls()
        for question in _QUESTIONS:
            try:
                facts.said[question] = _whole(session, question)
            except Denied:
                facts.denied.append(question)
            except NoAnswer as error:
                if error.code == _NONE.get(question):
                    facts.said[question] = {}
                else:
                    facts.unknown[question] = error.code
        return facts

    @property
    def versioning(self) -> str:
        """`Enabled`, `Suspended`, `never` or `unknown`."""
        said = self.said.get("GetBucketVersioning")
        return "unknown" if said is None else str(said.get("Status", "never"))

    @property
    def wants_token(self) -> bool:
        """Whether a deletion needs a person's token (MFA delete)."""
        return self.said.get("GetBucketVersioning", {}).get("MFADelete") == "Enabled"

    @property
    def locks(self) -> bool:
        """Whether versions of this bucket may be locked."""
        lock = self.said.get("GetObjectLockConfiguration", {}).get("ObjectLockConfiguration", {})
        return bool(lock.get("ObjectLockEnabled") == "Enabled")

    def encryption(self) -> str:
        """Say with what new objects are encrypted."""
        rules = self.said.get("GetBucketEncryption", {}).get("ServerSideEncryptionConfiguration", {})
        told = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules.get("Rules", ())]
        words = [
            " with key ".join(filter(None, (t.get("SSEAlgorithm"), t.get("KMSMasterKeyID")))) for t in told
        ]
        return ", ".join(filter(None, words)) or "none said"

    def surfaces(self) -> Iterator[Surface]:
        """Name every place that the bucket says it feeds, and every one of which it does not say."""
        replication = self.said.get("GetBucketReplication", {}).get("ReplicationConfiguration", {})
        for bucket in sorted(
            {str(r.get("Destination", {}).get("Bucket")) for r in replication.get("Rules", ())}
        ):
            yield _beyond(
                f"replica {bucket}", "deletions of versions are not replicated: make it a target of its own"
            )
        told = self.said.get("ListBucketInventoryConfigurations", {})
        for rule in told.get("InventoryConfigurationList", ()):
            bucket = rule.get("Destination", {}).get("S3BucketDestination", {}).get("Bucket")
            yield _beyond(
                f"inventory reports in {bucket}", "they list the names of objects; erase them there"
            )
        logging = self.said.get("GetBucketLogging", {}).get("LoggingEnabled")
        if logging:
            yield _beyond(
                f"access logs in {logging.get('TargetBucket')}",
                "they hold the names of objects; erase them there",
            )
        for question in (*self.unknown, *self.denied):
            code = self.unknown.get(question, "access denied")
            yield _beyond(
                f"{_MEANS[question]} of the bucket",
                f"not known: the server does not answer {question} ({code})",
            )


def _whole(session: Session, question: str) -> dict[str, Any]:
    """Ask a question to the end of its answer."""
    answer = session.ask(question)
    listed = list(answer.get("InventoryConfigurationList", ()))
    token = answer.get("NextContinuationToken")
    while answer.get("IsTruncated") and token:
        more = session.ask(question, ContinuationToken=token)
        listed += more.get("InventoryConfigurationList", ())
        token = more.get("NextContinuationToken") if more.get("NextContinuationToken") != token else None
    return {**answer, "InventoryConfigurationList": listed} if listed else answer


def _beyond(name: str, reason: str) -> Surface:
    return Surface(name=name, reach="out-of-reach", reason=reason)

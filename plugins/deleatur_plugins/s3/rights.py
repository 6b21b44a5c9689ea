"""The least rights that a job on a bucket needs, as a policy that can be given to its user. Pure."""

import json
from collections.abc import Iterable

from deleatur_plugins.s3.address import Address

_ON_BUCKET = {  # question: right
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetBucketReplication": "s3:GetReplicationConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "ListBucketInventoryConfigurations": "s3:GetInventoryConfiguration",
    "GetBucketLogging": "s3:GetBucketLogging",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetBucketAcl": "s3:GetBucketAcl",
}
_ON_OBJECTS = {
    "GetObject": ("s3:GetObject", "s3:GetObjectVersion"),
    "DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "ListParts": ("s3:ListMultipartUploadParts",),
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "GetObjectRetention": ("s3:GetObjectRetention",),
    "GetObjectLegalHold": ("s3:GetObjectLegalHold",),
}
_IF_ASKED = {  # by the job
    "GetObjectTagging": ("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    "BypassGovernanceRetention": ("s3:BypassGovernanceRetention",),
}
_ON_SERVER = ("s3:ListAllMyBuckets",)  # when a bucket was made stands in that list only
_TRYING = ("s3:PutObject",)  # in the scratch bucket, beside all of the above


def rights_for(questions: Iterable[str]) -> tuple[str, ...]:
    """Return the rights that questions need, in order."""
    asked = set(questions)
    some = [right for question, right in _ON_BUCKET.items() if question in asked]
    for question, rights in (_ON_OBJECTS | _IF_ASKED).items():
        some += rights if question in asked else ()
    return tuple(some)


def least_policy(address: Address, asked: Iterable[str] = ()) -> str:
    """Return the policy as JSON, in one line, for a job that asks for these, too."""
    on_bucket = sorted(_ON_BUCKET.values())
    of_selection = [right for question in asked for right in _IF_ASKED.get(question, ())]
    on_objects = sorted([*(right for rights in _ON_OBJECTS.values() for right in rights), *of_selection])
    bucket, scratch = f"arn:aws:s3:::{address.bucket}", f"arn:aws:s3:::{address.scratch or 'SCRATCH'}"
    statements = [
        (on_bucket, [bucket, scratch]),
        (on_objects, [f"{bucket}/{address.prefix}*", f"{scratch}/*"]),
        (list(_TRYING), [f"{scratch}/*"]),
        (list(_ON_SERVER), ["*"]),
    ]
    policy = {
        "Version": "2012-10-17",  # of the language
        "Statement": [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in statements],
    }
    return json.dumps(policy, separators=(",", ":"))

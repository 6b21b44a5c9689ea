"""A data key for each person, in a store whose keys deleatur destroys (docs/spec/subject-keys.md)."""

from deleatur_plugins.subject_keys.backend import SubjectKeysBackend
from deleatur_plugins.subject_keys.store import KeyNotFound, KeyStore
from deleatur_plugins.subject_keys.token import TokenAddress, TokenKeyStore
from deleatur_plugins.subject_keys.token_backend import TokenKeysBackend
from deleatur_plugins.subject_keys.vault_backend import VaultKeysBackend

__all__ = [
    "KeyNotFound",
    "KeyStore",
    "SubjectKeysBackend",
    "TokenAddress",
    "TokenKeyStore",
    "TokenKeysBackend",
    "VaultKeysBackend",
]

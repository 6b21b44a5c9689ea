"""A data key for each person, in a store whose keys deleatur destroys (docs/spec/subject-keys.md)."""

from deleatur_plugins.subject_keys.backend import SubjectKeysBackend
from deleatur_plugins.subject_keys.store import KeyNotFound, KeyStore

__all__ = ["KeyNotFound", "KeyStore", "SubjectKeysBackend"]

"""Find out whether the keys that approved fill every role that a policy asks for. Pure.

Rule kept: a key, or a person of whom several keys are known, fills one role, however many they may
fill; which one is chosen so that most are filled.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from deleatur.documents.plan import RoleKeys

NOBODY: Mapping[str, str] = MappingProxyType({})


def filled(
    roles: Sequence[RoleKeys], keys: Iterable[str], people: Mapping[str, str] = NOBODY
) -> Mapping[str, str]:
    """Return for each role that can be filled the key that fills it, by SubjectPublicKeyInfo.

    `people` says of a key whose it is; a key that it does not know counts as a person.

    A largest matching of roles and keys, found by augmenting paths (Berge 1957): as many roles as
    can be at all. For the same roles and keys, in any order of the keys, the answer is the same.
    """
    there = sorted(set(keys))
    holder: dict[str, tuple[str, str]] = {}  # person: the role that they fill, and by which key

    def give(role: RoleKeys, tried: set[str]) -> bool:
        for key in there:
            person = people.get(key, key)
            if key in role.keys and person not in tried:
                tried.add(person)
                if person not in holder or give(named[holder[person][0]], tried):
                    holder[person] = role.role, key
                    return True
        return False

    named = {role.role: role for role in roles}
    for role in roles:
        give(role, set())
    found = dict(holder.values())
    return {role.role: found[role.role] for role in roles if role.role in found}


def unfilled(roles: Sequence[RoleKeys], keys: Iterable[str], people: Mapping[str, str] = NOBODY) -> list[str]:
    """Return the roles for which no key, or nobody, is left."""
    found = filled(roles, keys, people)
    return [role.role for role in roles if role.role not in found]

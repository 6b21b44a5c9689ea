"""Find out whether the keys that approved fill every role that a policy asks for. Pure.

Rule kept: a key fills one role, however many it may fill; which one is chosen so that most are filled.
"""

from collections.abc import Iterable, Mapping, Sequence

from deleatur.documents.plan import RoleKeys


def filled(roles: Sequence[RoleKeys], keys: Iterable[str]) -> Mapping[str, str]:
    """Return for each role that can be filled the key that fills it, by SubjectPublicKeyInfo.

    A largest matching of roles and keys, found by augmenting paths (Berge 1957): as many roles as
    can be at all. For the same roles and keys, in any order of the keys, the answer is the same.
    """
    there = sorted(set(keys))
    holder: dict[str, str] = {}  # key: the role that it fills

    def give(role: RoleKeys, tried: set[str]) -> bool:
        for key in there:
            if key in role.keys and key not in tried:
                tried.add(key)
                if key not in holder or give(named[holder[key]], tried):
                    holder[key] = role.role
                    return True
        return False

    named = {role.role: role for role in roles}
    for role in roles:
        give(role, set())
    found = {role: key for key, role in holder.items()}
    return {role.role: found[role.role] for role in roles if role.role in found}


def unfilled(roles: Sequence[RoleKeys], keys: Iterable[str]) -> list[str]:
    """Return the roles for which no key is left."""
    found = filled(roles, keys)
    return [role.role for role in roles if role.role not in found]

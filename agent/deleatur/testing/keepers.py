"""Custodians for tests: one whose identity the test has, and a second, so that none hangs on one key."""

from deleatur.documents.job import Custodian, Custody

SECOND = "age12wcyqcjtcrcdgc6wg72eaty0fxjvnmajutl4trevnfazkxhxldpsfu63up"  # of an identity thrown away


def keepers(recipient: str, *, name: str = "accounting", until: str = "2036-12-31") -> Custody:
    """Return two custodians who keep an archive until a day."""
    first = Custodian(name=name, recipient=recipient)
    return Custody(retain_until=until, custodian=(first, Custodian(name="second", recipient=SECOND)))


def keepers_text(recipient: str, *, name: str = "accounting", until: str = "2036-12-31") -> str:
    """Return the same as the tables of a job.toml."""
    custodians = "".join(
        f'[[custody.custodian]]\nname = "{who}"\nrecipient = "{age}"\n'
        for who, age in ((name, recipient), ("second", SECOND))
    )
    return f'[custody]\nretain_until = "{until}"\n{custodians}'

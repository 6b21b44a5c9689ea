"""Count active and dormant records by a rule that people state in words. Pure: the day is given."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from deleatur.documents.datamap import Totals
from deleatur.errors import Refused

_RULE = re.compile(r"(?P<table>[^ ].*)\.(?P<column>[^.]+) within (?P<days>[0-9]{1,5}) days")
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})")
_GERMAN = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_SECONDS = range(10**8, 10**11)  # 1973 to 5138 as seconds since 1970; above that milliseconds


@dataclass(frozen=True)
class Activity:
    """A record of `table` is active when the date in `column` is at most `days` days old."""

    table: str
    column: str
    days: int
    as_of: date

    @property
    def text(self) -> str:
        """The rule as it stands in the map."""
        return f"{self.table}.{self.column} within {self.days} days of {self.as_of.isoformat()}"

    def of(self, value: object) -> bool | None:
        """Say whether a record is active; None when the value is no date."""
        day = day_of(value)
        return None if day is None else day >= self.as_of - timedelta(days=self.days)

    def totals(self, active: int, dormant: int, undated: int) -> Totals:
        """Return the counts with the rule."""
        every = active + dormant + undated
        return Totals(rule=self.text, all=every, active=active, dormant=dormant, undated=undated)


def activity(text: str, as_of: date) -> Activity:
    """Read a rule such as `orders.ordered_on within 365 days`.

    Raises:
        Refused: it is not of this form.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise Refused("write the rule of activity as 'table.column within 365 days'")
    return Activity(found["table"], found["column"], int(found["days"]), as_of)


def day_of(value: object) -> date | None:
    """Return the day that a stored value names; None when it names none."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value if value in _SECONDS else value // 1000
        return datetime.fromtimestamp(seconds, UTC).date() if seconds in _SECONDS else None
    text = str(value or "").strip()
    if found := _DATE.match(text):
        return _day(*map(int, found.groups()))
    if found := _GERMAN.match(text):
        return _day(*map(int, reversed(found.groups())))
    return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

"""Keys of items: what stands between the `#` of partition and sort keys, and sorts as it should."""

from __future__ import annotations

LATEST_SECONDS = 9_999_999_999.0


def key(*parts: str) -> str:
    """Parts joined by `#`, which no part can hold: `key("SESSION", tenant, session)`."""
    return "#".join(part.replace("%", "%25").replace("#", "%23") for part in parts)


def age(seconds: float, row_id: str) -> str:
    """A sort key by time, then id. Seconds since the epoch, to the microsecond."""
    return f"{moment(seconds)}#{row_id}"


def place_of_age(value: str) -> tuple[float, str]:
    """The time and id that an `age` was made of."""
    seconds, _, row_id = value.partition("#")
    return float(seconds), row_id


def moment(seconds: float) -> str:
    """Seconds since the epoch as digits that sort as the numbers do."""
    within = min(max(seconds, 0.0), LATEST_SECONDS) if seconds == seconds else 0.0
    return f"{within:017.6f}"

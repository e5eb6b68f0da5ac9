"""What a tenant may ask for: requests per window and executions at a time, from RATE_LIMITS_JSON.

`{"max_requests", "window_seconds", "max_concurrent_executions"}` for every tenant alike, or
`{"default": {…}, "tenants": {id: {…}}}`, where a tenant's fields stand before those of `default`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rlm_rs.core.errors import SettingInvalid

VARIABLE = "RATE_LIMITS_JSON"
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one tenant; None is no limit. max_requests and window_seconds are set both or neither."""

    max_requests: int | None = None
    window_seconds: float | None = None
    max_concurrent_executions: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Limits by tenant id, and those of everybody else."""

    default: Limits = Limits()
    tenants: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, tenant_id: str) -> Limits:
        """The limits of a tenant."""
        return self.tenants.get(tenant_id, self.default)


@dataclass(frozen=True, slots=True)
class Rate:
    """`requests` at once, and one more whenever a `requests`-th part of the window has passed."""

    requests: int
    window_seconds: float

    @property
    def burst_ns(self) -> int:
        """The window in nanoseconds."""
        return round(self.window_seconds * NANOSECONDS)

    @property
    def step_ns(self) -> int:
        """The time that one request takes up, in nanoseconds."""
        return max(self.burst_ns // self.requests, 1)

    def allows(self, ahead_ns: int) -> bool:
        """Whether a request may go on that leads so far ahead of now."""
        return ahead_ns <= self.burst_ns

    def retry_after(self, ahead_ns: int) -> int:
        """Whole seconds after which a refused request would be let through, at least 1."""
        return max(math.ceil((ahead_ns - self.burst_ns) / NANOSECONDS), 1)


def rate_of(limits: Limits) -> Rate | None:
    """The rate of requests, or None where there is no limit."""
    if limits.max_requests is None or limits.window_seconds is None:
        return None
    return Rate(limits.max_requests, limits.window_seconds)


def parse_rate_limits(text: str | None) -> RateLimits:
    """The limits that RATE_LIMITS_JSON stands for; none for an empty text. Raises `SettingInvalid`."""
    if not text:
        return RateLimits()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(text, f"it is not JSON ({error}).") from error
    return _rate_limits(_object(value, "it", text), text)


def _rate_limits(value: Mapping[str, Any], text: str) -> RateLimits:
    if not value.keys() & {"default", "tenants"}:
        return RateLimits(_limits(value, Limits(), "", text))
    if strange := sorted(value.keys() - {"default", "tenants"}):
        raise _invalid(text, f"{strange[0]} does not go with default and tenants.")
    default = _limits(_object(value.get("default", {}), "default", text), Limits(), "default.", text)
    tenants = _object(value.get("tenants", {}), "tenants", text)
    return RateLimits(
        default,
        {
            name: _limits(_object(own, f"tenants.{name}", text), default, f"tenants.{name}.", text)
            for name, own in tenants.items()
        },
    )


def _limits(value: Mapping[str, Any], default: Limits, place: str, text: str) -> Limits:
    known = set(Limits.__dataclass_fields__)
    for name, figure in value.items():
        if name not in known:
            raise _invalid(text, f"{place}{name} is not one of {', '.join(sorted(known))}.")
        if figure is not None and not _is_limit(figure, whole=name != "window_seconds"):
            kind = "a number above 0" if name == "window_seconds" else "a whole number of 1 or more"
            raise _invalid(text, f"{place}{name} must be {kind}.")
    limits = replace(default, **value)
    if (limits.max_requests is None) != (limits.window_seconds is None):
        raise _invalid(text, f"{place}max_requests and {place}window_seconds go together.")
    return limits


def _is_limit(figure: object, *, whole: bool) -> bool:
    if isinstance(figure, bool) or not isinstance(figure, int | float):
        return False
    if whole:
        return isinstance(figure, int) and 1 <= figure <= 10**9
    return 0.001 <= figure <= 10**8


def _object(value: Any, place: str, text: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(text, f"{place} must be a JSON object.")
    return value


def _invalid(text: str, reason: str) -> SettingInvalid:
    return SettingInvalid(variable=VARIABLE, value=text, reason=reason)

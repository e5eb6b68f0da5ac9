"""A request to the API as operators see it once it is answered: no body, no query, the route for the path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """One request and how it ended; times are seconds since the epoch.

    method: one that HTTP defines, else None. route: the template of its path, None where there is no such
    route. status: 0 where nothing could be sent. headers: those that name the client's trace (W3C Trace
    Context). The other ids are of what it was about, where it was about one.
    """

    method: str | None
    route: str | None
    status: int
    scheme: str
    start: float
    end: float
    request_id: str
    tenant_id: str | None = None
    session_id: str | None = None
    execution_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`{method} {route}`, as the HTTP conventions name a server's span."""
        return " ".join(filter(None, (self.method or "HTTP", self.route)))

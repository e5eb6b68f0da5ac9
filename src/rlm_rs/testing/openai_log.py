"""What an OpenAI test server was asked: a list in memory and, if wanted, JSON lines on disk."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

Outcome = Literal["open", "sent", "disconnected", "dropped", "closed"]


@dataclass(slots=True)
class Exchange:
    """One request and how it ended.

    time is in seconds since the epoch, concurrency the number of requests in work when this one came,
    itself included. status is None where no answer was meant to be sent.
    """

    seq: int
    time: float
    method: str
    path: str
    model: str
    prompt_sha256: str
    prompt_chars: int
    concurrency: int
    status: int | None
    fault: str | None
    stream: bool
    outcome: Outcome = "open"
    seconds: float = 0.0
    body: Any = field(default=None, repr=False)


class ExchangeLog:
    """Records each exchange when it begins and when it ends.

    On disk each is two JSON lines, `"event": "request"` and `"event": "done"`, both written through at
    once, so that what a killed client had asked can still be counted.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self._open = 0
        self._file: IO[str] | None = path.open("a", encoding="utf-8") if path else None

    @property
    def max_concurrency(self) -> int:
        """The largest number of completions that were in work at one time."""
        return max((one.concurrency for one in self.exchanges), default=0)

    def begin(self, **what: Any) -> Exchange:
        """Note that a request has come."""
        self._open += 1
        exchange = Exchange(seq=len(self.exchanges), time=time.time(), concurrency=self._open, **what)
        self.exchanges.append(exchange)
        entry = {key: value for key, value in asdict(exchange).items() if key not in _END_FIELDS}
        self._write({"event": "request"} | entry)
        return exchange

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """Note that a request is over."""
        self._open -= 1
        exchange.outcome = outcome
        exchange.seconds = time.time() - exchange.time
        entry = {"seq": exchange.seq, "time": time.time(), "seconds": round(exchange.seconds, 4)}
        self._write({"event": "done"} | entry | {"outcome": outcome})

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()


_END_FIELDS = frozenset({"outcome", "seconds", "body"})

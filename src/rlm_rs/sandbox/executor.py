"""Runs one step: code, documents and recorded answers in; output, state, variables, spans and requests out.

The whole of it happens in one process that may be ended at any time. Clocks and memory limits are that
process's business: its signal handler raises `limits.StepTimedOut`, its allocator MemoryError, and both
become typed errors here, with what was printed before.
"""

from __future__ import annotations

import ast
import codecs
import inspect
import warnings
from collections.abc import Sequence
from types import CodeType
from typing import Any, Protocol

from rlm_rs.sandbox import charset, modules, rewrite, state, variables
from rlm_rs.sandbox.calls import Asker, Channel, ReplayOnly
from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.definitions import Definitions
from rlm_rs.sandbox.encoding import Decoder, Encoder, Given
from rlm_rs.sandbox.failure import step_error
from rlm_rs.sandbox.final import final_of
from rlm_rs.sandbox.language import NO_ANSWER, Language, view_maker
from rlm_rs.sandbox.ledger import Ledger
from rlm_rs.sandbox.limits import (
    Ending,
    LimitExceeded,
    StepDiverged,
    StepEnded,
    StepFinished,
    StepSuspended,
    StepYielded,
)
from rlm_rs.sandbox.output import Output
from rlm_rs.sandbox.protocol import Final, StepError, StepRequest, StepResult, StepUsage
from rlm_rs.sandbox.shelf import Shelf
from rlm_rs.sandbox.tools import schema

__all__ = ["Channel", "Meter", "ReplayOnly", "run_step"]


_CODECS = (
    "ascii",
    "latin-1",
    "cp1252",
    "utf-8-sig",
    "utf-16",
    "utf-32",
    "idna",
    "punycode",
    "unicode_escape",
)


def prepare() -> None:
    """Make now what a step would otherwise make at its own expense, or could not load once locked.

    Called at import, so that processes forked from here share it.
    """
    charset.prepare()
    modules.prepare()
    for codec in _CODECS:
        codecs.lookup(codec)


class Meter(Protocol):
    """Tells what the step itself used."""

    def usage(self) -> StepUsage:
        """Usage from the beginning of the step until now."""


def run_step(
    request: StepRequest, corpus: MappedCorpus, channel: Channel, meter: Meter | None = None
) -> StepResult:
    """Run one step to its end, or to the first call that neither the record nor the channel answers.

    Never raises for anything step code does: its errors are part of the result.
    """
    step = _Step(request, corpus, channel)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = step.run()
        return step.result(error, meter)


class _Step:
    """One step under way."""

    def __init__(self, request: StepRequest, corpus: MappedCorpus, channel: Channel) -> None:
        self._request = request
        self._ending = Ending()
        self._output = Output(request.limits.stdout_chars, self._ending)
        self._ledger = Ledger(request.limits.max_spans, request.cites)
        self._shelf = Shelf(request, corpus, self._ledger, self._ending, view_maker(request))
        self._asker = Asker(request, channel, self._ending)
        self._language = Language(request, self._shelf, self._ledger, self._asker, self._ending, self._output)
        self._namespace: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._definitions = Definitions("", ())
        self._lost: list[str] = []
        self._began = False

    def run(self) -> BaseException | None:
        """Run the code; returns what ended it early, unless that is one of the step's own signals."""
        try:
            self._run()
        except (StepEnded, SystemExit):
            return None
        except BaseException as error:  # noqa: BLE001  (the edge: whatever step code raises is its result)
            return error
        return None

    def _run(self) -> None:
        program = rewrite.program(self._request.code)
        self._prepare(program.nodes)
        self._execute(program.body)
        if program.echo is not None:
            self._echo(self._execute(program.echo))

    def _prepare(self, nodes: Sequence[ast.AST]) -> None:
        self._namespace = self._language.namespace(state.opened(self._request.state) | self._described())
        self._given = dict(self._namespace)
        self._definitions = Definitions(self._request.code, nodes)
        decoder = Decoder(self._shelf, self._definitions, self._namespace, self._origins())
        self._lost = variables.restore(self._request.variables, self._namespace, decoder)
        self._language.add_modules(nodes, self._namespace)
        self._began = True

    def _described(self) -> dict[str, Any]:
        request = self._request
        return {"_tool_schema": schema(request.tools_enabled, request.search_enabled, request.tools)}

    def _origins(self) -> Given:
        return Given(self._given, self._language.importer)

    def _execute(self, code: CodeType) -> Any:
        value = eval(code, self._namespace)
        return self._language.loop.run(value) if code.co_flags & inspect.CO_COROUTINE else value

    def _echo(self, value: Any) -> None:
        if value is not None:
            self._output.write(f"{value!r}\n")

    def result(self, error: BaseException | None, meter: Meter | None) -> StepResult:
        """What the host gets."""
        signal = self._ending.signal
        if isinstance(signal, StepSuspended):
            return StepResult("suspended", requests=signal.requests, usage=_usage(meter))
        try:
            return self._finished(error, meter)
        except BaseException as late:  # noqa: BLE001  (the edge: saving may run code of the step's own objects)
            return self._fallen(late, meter)

    def _finished(self, error: BaseException | None, meter: Meter | None) -> StepResult:
        signal, request = self._ending.signal, self._request
        final, failure = self._outcome(error)
        kept_state, state_failure = self._kept_state(failed=failure is not None)
        if final is None:
            failure = failure or state_failure
        elif state_failure is not None:
            self._lost.append(state_failure.message)
        kept_variables, lost = self._kept_variables()
        stdout, dropped = self._output.result()
        return StepResult(
            "finished",
            stdout=stdout,
            stdout_dropped=dropped,
            error=failure,
            state=request.state if failure else kept_state,
            variables=kept_variables,
            not_kept=(*self._lost, *lost),
            spans=self._ledger.spans(),
            cites=self._ledger.new_cites(),
            requests=() if failure or final else self._language.queue.requests,
            final=final,
            yielded=signal.reason if isinstance(signal, StepYielded) and not failure else None,
            usage=_usage(meter),
        )

    def _outcome(self, error: BaseException | None) -> tuple[Final | None, StepError | None]:
        """The answer or the failure the code ended with; neither when it just ended."""
        signal = self._ending.signal
        if isinstance(signal, StepFinished):
            return signal.final, None
        if isinstance(signal, StepDiverged):
            return None, self._failure(signal)
        if isinstance(signal, StepYielded):
            return None, None
        if error is None and self._asker.unused():
            error = StepDiverged(
                f"run again, the step did not ask {self._asker.unused()} of the calls recorded"
            )
        if error is not None:
            return None, self._failure(error)
        return self._declared()

    def _declared(self) -> tuple[Final | None, StepError | None]:
        """The answer that code declared ready in the dict `answer`."""
        answer = self._namespace.get("answer")
        if type(answer) is not dict or not answer.get("ready"):
            return None, None
        try:
            return final_of(answer.get("content"), self._request.limits.answer_chars), None
        except LimitExceeded as error:
            return None, self._failure(error)

    def _failure(self, error: BaseException) -> StepError:
        limits = self._request.limits
        return step_error(error, self._request.code, limits.seconds, limits.memory_mb)

    def _kept_state(self, *, failed: bool) -> tuple[Any, StepError | None]:
        before = self._request.state
        if failed or not self._began:
            return before, None
        try:
            return state.closed(self._namespace.get("state"), before, self._request.limits.state_chars), None
        except LimitExceeded as error:
            return before, self._failure(error)

    def _kept_variables(self) -> tuple[Any, list[str]]:
        if not self._began:
            return self._request.variables, []
        names = variables.own_names(self._namespace, self._given, self._language.fixed)
        if self._namespace.get("answer") is self._given["answer"] and self._given["answer"] != NO_ANSWER:
            names.append("answer")
        limit = self._request.limits.state_chars
        encoder = Encoder(self._shelf, self._definitions, self._namespace, self._origins(), limit)
        kept, lost = variables.kept(names, self._namespace, encoder, limit)
        rebound = [
            name
            for name in self._language.fixed - {"state"}
            if self._namespace.get(name) is not self._given.get(name)
        ]
        taken = "the name is taken and means the same in every step; use another"
        lost += [f"{name}: {taken}" for name in sorted(rebound)]
        return kept, lost

    def _fallen(self, error: BaseException, meter: Meter | None) -> StepResult:
        """The result when saving failed: answer or error, and output; state and variables as before."""
        signal = self._ending.signal
        final = signal.final if isinstance(signal, StepFinished) else None
        stdout, dropped = self._output.result()
        return StepResult(
            "finished",
            stdout=stdout,
            stdout_dropped=dropped,
            error=None if final else self._failure(error),
            state=self._request.state,
            variables=self._request.variables,
            spans=self._ledger.spans(),
            cites=self._ledger.new_cites(),
            final=final,
            usage=_usage(meter),
        )


def _usage(meter: Meter | None) -> StepUsage:
    return StepUsage() if meter is None else meter.usage()


prepare()

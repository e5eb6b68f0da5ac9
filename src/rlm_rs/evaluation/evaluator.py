"""Evaluating one execution: the direct baseline, the judge's metrics, and scores against reference answers.

All calls go through the call cache, priced and counted apart from the execution's own spend. A part that
cannot be had is left out with a reason; only a provider that is away for now stops an evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.execution import Run
from rlm_rs.core.model import ModelRequest
from rlm_rs.core.pricing import context_window
from rlm_rs.core.records import EvaluationCall, EvaluationRecord, EvaluationStatus
from rlm_rs.core.spans import Range, merge, read_ranges
from rlm_rs.core.tokens import MARGIN, estimated_tokens, tokens_of_lengths
from rlm_rs.evaluation.baseline import baseline_request, why_not_asked
from rlm_rs.evaluation.judging import (
    JUDGE_TOKENS,
    Judgement,
    JudgeMetric,
    ReplyInvalid,
    corrected,
    faithfulness_request,
    instructions,
    read_judgement,
    relevancy_request,
)
from rlm_rs.evaluation.scoring import reference_scores
from rlm_rs.orchestrator.completions import Caller
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.sessions import corpus_left

UNKNOWN_WINDOW_TOKENS = 128_000
ANSWERER, BASELINE = "answerer", "baseline"


class Skipped(Exception):
    """A part of an evaluation that is left out. The message is the reason's code."""


@dataclass(slots=True)
class _Findings:
    """What is known so far: the record as it will be, and the calls it took."""

    record: EvaluationRecord
    run: Run
    corpus: Corpus
    judge_model: str
    calls: list[EvaluationCall] = field(default_factory=list)

    def say(self, who: str, metric: JudgeMetric, judgement: Judgement) -> None:
        """Note a judgement."""
        self.record.judge_metrics.setdefault(who, {})[metric] = judgement.score
        self.record.judge_details.setdefault(who, {})[metric] = dict(judgement.details)

    def skip(self, who: str, metric: JudgeMetric, reason: str) -> None:
        """Note why there is no score."""
        self.record.judge_metrics.setdefault(who, {})[metric] = None
        self.record.skip_reasons.setdefault(who, {})[metric] = reason


class JudgedEvaluator:
    """`orchestrator.ports.Evaluator`. judge_model None: the execution's own root model judges."""

    def __init__(self, ports: Ports, judge_model: str | None = None, *, baseline: bool = True) -> None:
        self._ports = ports
        self._judge_model = judge_model
        self._baseline = baseline

    async def evaluate(self, record: EvaluationRecord) -> EvaluationRecord:
        """The record with its parts filled in. Raises `ProviderFailed` if a provider is away for now."""
        run = await replayed(self._ports.log, record.tenant_id, record.execution_id)
        corpus = await corpus_left(record.tenant_id, record.session_id, self._ports.catalog)
        judge_model = self._judge_model or run.execution.models.root
        blank = replace(record, judge_metrics={}, judge_details={}, skip_reasons={}, reference_scores={})
        findings = _Findings(replace(blank, judge_model=judge_model), run, corpus, judge_model)
        await self._ask_baseline(findings)
        await self._judge_answers(findings)
        _score(findings)
        return replace(
            findings.record,
            status=EvaluationStatus.COMPLETED,
            failure=None,
            renew_baseline=False,
            updated_at=time.time(),
            calls=_all_calls(record.calls, findings.calls),
        )

    async def _ask_baseline(self, findings: _Findings) -> None:
        """The root model's answer with the whole text in its window, where it fits."""
        record = findings.record
        if record.baseline_status == "COMPLETED" and not record.renew_baseline:
            return
        model = findings.run.execution.models.root
        window = context_window(model, self._ports.windows)
        found = replace(
            record, baseline_model=model, baseline_context_window=window, baseline_skip_reason=None
        )
        try:
            documents = self._fitting(findings, window)
            request = await self._baseline_request(findings, documents)
            text = await self._asked("baseline", request, findings, self._called_for(BASELINE, findings))
        except Skipped as skipped:
            findings.record = replace(
                found,
                baseline_status="SKIPPED",
                baseline_skip_reason=str(skipped),
                baseline_answer=None,
                baseline_input_tokens=None,
            )
        else:
            findings.record = replace(
                found,
                baseline_status="COMPLETED",
                baseline_answer=text,
                baseline_input_tokens=findings.calls[-1].input_tokens or _tokens(request),
            )

    def _fitting(self, findings: _Findings, window: int | None) -> Sequence[Document]:
        """All documents, if they go into the window together; nothing is called to find out."""
        documents = _readable(findings.corpus)
        if not self._baseline:
            raise Skipped("BASELINE_OFF")
        if why := why_not_asked(documents, findings.run.execution.question, window):
            raise Skipped(why)
        return documents

    async def _baseline_request(self, findings: _Findings, documents: Sequence[Document]) -> ModelRequest:
        texts = [(document.source_name, await self._whole(document)) for document in documents]
        execution = findings.run.execution
        return baseline_request(execution.models.root, execution.question, texts)

    async def _judge_answers(self, findings: _Findings) -> None:
        end = findings.run.finished
        answer = end.answer if end and end.answer is not None else ""
        await self._judge(ANSWERER, answer, self._passages, findings)
        if findings.record.baseline_answer is not None:
            await self._judge(BASELINE, findings.record.baseline_answer, self._all_texts, findings)

    async def _judge(
        self,
        who: str,
        answer: str,
        passages: Callable[[str, _Findings], Awaitable[Sequence[str]]],
        findings: _Findings,
    ) -> None:
        question, model = findings.run.execution.question, findings.judge_model
        await self._judged(who, "answer_relevancy", relevancy_request(model, question, answer), findings)
        try:
            texts = await passages(answer, findings)
        except Skipped as skipped:
            findings.skip(who, "faithfulness", str(skipped))
            return
        await self._judged(
            who, "faithfulness", faithfulness_request(model, question, answer, texts), findings
        )

    async def _judged(
        self, who: str, metric: JudgeMetric, request: ModelRequest, findings: _Findings
    ) -> None:
        """One metric; a judge whose reply cannot be read is told so, once."""
        purpose = f"{metric} of {who}"
        try:
            reply = await self._asked(purpose, request, findings, None)
            try:
                judgement = read_judgement(metric, reply)
            except ReplyInvalid as error:
                again = corrected(request, reply, str(error))
                judgement = read_judgement(metric, await self._asked(purpose, again, findings, None))
        except Skipped as skipped:
            findings.skip(who, metric, str(skipped))
        except ReplyInvalid:
            findings.skip(who, metric, "JUDGE_REPLY_INVALID")
        else:
            findings.say(who, metric, judgement)
            if judgement.score is None:
                findings.skip(who, metric, "NO_CLAIMS")

    async def _passages(self, answer: str, findings: _Findings) -> Sequence[str]:
        """What was read, else what was cited, whichever the judge's window holds first."""
        read = merge(_within(read_ranges(findings.run.spans), findings.corpus), self._ports.merge_gap_chars)
        cited = merge(_within(_cited(findings.run), findings.corpus))
        for kind, places in (("read", read), ("cited", cited)):
            if places and self._judge_takes(_place_tokens(places, findings.corpus), answer, findings):
                findings.record = replace(findings.record, contexts_used=kind)
                return [await self._text(place, findings.corpus) for place in places]
        raise Skipped("CONTEXT_WINDOW_EXCEEDED" if read else "NO_CONTEXTS")

    async def _all_texts(self, answer: str, findings: _Findings) -> Sequence[str]:
        documents = _readable(findings.corpus)
        if not self._judge_takes(sum(map(_document_tokens, documents)), answer, findings):
            raise Skipped("CONTEXT_WINDOW_EXCEEDED")
        return [await self._whole(document) for document in documents]

    def _judge_takes(self, tokens: int, answer: str, findings: _Findings) -> bool:
        window = context_window(findings.judge_model, self._ports.windows) or UNKNOWN_WINDOW_TOKENS
        asked = f"{instructions('faithfulness')}{findings.run.execution.question}{answer}"
        return MARGIN * (tokens + estimated_tokens(asked)) + JUDGE_TOKENS <= window

    async def _asked(
        self, purpose: str, request: ModelRequest, findings: _Findings, place: str | None
    ) -> str:
        """The reply's text. place: whose call it is alone; None: any like it of the tenant may be shared."""
        tenant = findings.record.tenant_id
        caller = Caller(tenant, place or self._called_for(purpose, findings))
        try:
            async with self._ports.slots:
                done = await self._ports.completions.complete(request, caller, shared=place is None)
        except ProviderFailed as error:
            if error.details.get("retryable", True):
                raise
            raise Skipped("BASELINE_ERROR" if place else "JUDGE_ERROR") from error
        usage = None if done.cache_hit else done.reply.usage
        findings.calls.append(
            EvaluationCall(
                purpose,
                done.reply.model,
                done.uri,
                done.cache_hit,
                usage.input_tokens if usage else 0,
                usage.output_tokens if usage else 0,
                done.cost_usd,
            )
        )
        return done.reply.text

    def _called_for(self, purpose: str, findings: _Findings) -> str:
        return f"{findings.record.execution_id}/evaluation/{findings.record.revision}/{purpose}"

    async def _whole(self, document: Document) -> str:
        return await self._ports.texts.read(document, 0, document.char_length)

    async def _text(self, place: Range, corpus: Corpus) -> str:
        document = corpus.documents[place.doc_index]
        return await self._ports.texts.read(document, place.start_char, place.end_char)


def _readable(corpus: Corpus) -> list[Document]:
    return [document for document in corpus.documents if document.readable]


def _document_tokens(document: Document) -> int:
    return tokens_of_lengths(document.char_length, document.byte_length)


def _place_tokens(places: Sequence[Range], corpus: Corpus) -> int:
    """As many as the places' share of their documents."""
    shares = ((place.length, corpus.documents[place.doc_index]) for place in places)
    return sum(-(-_document_tokens(d) * length // max(1, d.char_length)) for length, d in shares)


def _tokens(request: ModelRequest) -> int:
    return sum(estimated_tokens(message.content) for message in request.messages)


def _within(places: Sequence[Range], corpus: Corpus) -> list[Range]:
    documents = corpus.documents
    return [
        place
        for place in places
        if 0 <= place.doc_index < len(documents)
        and 0 <= place.start_char < place.end_char <= documents[place.doc_index].char_length
    ]


def _cited(run: Run) -> list[Range]:
    refs = [citation.ref for citation in (run.finished.citations if run.finished else ())]
    return [Range(ref.doc_index, ref.start_char, ref.end_char) for ref in refs]


def _score(findings: _Findings) -> None:
    record, end = findings.record, findings.run.finished
    answers = {ANSWERER: end.answer if end else None, BASELINE: record.baseline_answer}
    for who, answer in answers.items():
        if record.reference_answers and answer is not None:
            record.reference_scores[who] = reference_scores(answer, record.reference_answers)


def _all_calls(
    earlier: Sequence[EvaluationCall], later: Sequence[EvaluationCall]
) -> tuple[EvaluationCall, ...]:
    """Every call ever made for this evaluation: what it cost, and what is to be removed with it."""
    paid = [
        call for call in later if not call.cache_hit or call.cached_at not in {c.cached_at for c in earlier}
    ]
    return (*earlier, *paid)

"""Citations that came back from outside, as JSON, checked against the stored texts.

What a citation says besides its reference (the quoted text, the file's name) is believed no more than the
reference itself: it must agree with what stands there.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import SessionNotFound, ValidationFailed
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.sessions import corpus_of
from rlm_rs.orchestrator.verifying import Verification, verify

_INTEGERS = ("doc_index", "start_char", "end_char")


@dataclass(frozen=True, slots=True)
class Claim:
    """A citation as somebody states it: text and source_name are what is said to stand there."""

    ref: SpanRef
    text: str | None = None
    source_name: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A claim, whether it holds, and the page its text begins on."""

    claim: Claim
    verification: Verification
    page: int | None = None


def read_claims(text: str) -> list[Claim]:
    """The citations in an answer's JSON, in the last line of JSON lines, in a list, or a single one.

    Raises `ValidationFailed` for anything else.
    """
    return _claims_in(_decoded(text))


async def check_claims(tenant_id: str, claims: Sequence[Claim], ports: Ports) -> list[CheckedClaim]:
    """Recompute each claim. One that does not hold, for whatever reason, is an outcome, never an error."""
    corpora: dict[str, Corpus | None] = {}
    checked = []
    for claim in claims:
        session_id = claim.ref.session_id
        if session_id not in corpora:
            corpora[session_id] = await _corpus(tenant_id, session_id, ports)
        checked.append(await _checked(claim, corpora[session_id], ports))
    return checked


async def _corpus(tenant_id: str, session_id: str, ports: Ports) -> Corpus | None:
    try:
        return await corpus_of(tenant_id, session_id, ports.catalog)
    except SessionNotFound:
        return None


async def _checked(claim: Claim, corpus: Corpus | None, ports: Ports) -> CheckedClaim:
    if corpus is None:
        return CheckedClaim(claim, Verification(False, reason=f"there is no session {claim.ref.session_id}"))
    found = await verify(claim.ref, corpus, ports.texts)
    if not found.valid:
        return CheckedClaim(claim, found)
    page = await ports.texts.page_of(corpus.documents[claim.ref.doc_index], claim.ref.start_char)
    return CheckedClaim(claim, agreeing(claim, found), page)


def agreeing(claim: Claim, found: Verification) -> Verification:
    """The verification, which does not hold if what is claimed besides the reference is not so."""
    if not found.valid:
        return found
    if claim.text is not None and _composed(claim.text) != _composed(found.text):
        return replace(found, valid=False, reason="the text quoted is not the text that stands there")
    if claim.source_name is not None and claim.source_name != found.source_name:
        return replace(found, valid=False, reason=f"the document there is {found.source_name}")
    return found


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _decoded(text: str) -> Any:
    # not splitlines: a text within a line may hold U+2028 and its like as they are
    last = text.strip().rpartition("\n")[-1]
    for candidate in (text, last):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    raise ValidationFailed(reason="That is not JSON. Give the output of `rlm ask --json` or `--jsonl`.")


def _claims_in(value: Any) -> list[Claim]:
    if isinstance(value, Mapping) and "citations" in value:
        value = value["citations"]
    found = value if isinstance(value, list) else [value]
    return [_claim(item, number) for number, item in enumerate(found, start=1)]


def _claim(item: Any, number: int) -> Claim:
    if not isinstance(item, Mapping):
        raise _malformed(number, "it is not an object")
    given = item.get("ref", item)
    if not isinstance(given, Mapping):
        raise _malformed(number, "its ref is not an object")
    outer = item if "ref" in item else {}
    return Claim(_ref(given, number), _text(outer, "text", number), _text(outer, "source_name", number))


def _ref(given: Mapping[str, Any], number: int) -> SpanRef:
    names = [field.name for field in fields(SpanRef)]
    for name in names:
        if name not in given:
            raise _malformed(number, f"it has no {name}")
        kind = int if name in _INTEGERS else str
        if not isinstance(given[name], kind) or isinstance(given[name], bool) or _half(given[name]):
            raise _malformed(number, f"its {name} is {given[name]!r:.40}")
    return SpanRef(**{name: given[name] for name in names})


def _text(item: Mapping[str, Any], name: str, number: int) -> str | None:
    value = item.get(name)
    if value is not None and (not isinstance(value, str) or _half(value)):
        raise _malformed(number, f"its {name} is {value!r:.40}")
    return value


def _half(value: str | int) -> bool:
    """Whether it holds half of a surrogate pair, which JSON can write and no text or name can hold."""
    return isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value)


def _malformed(number: int, why: str) -> ValidationFailed:
    return ValidationFailed(
        reason=f"Citation {number} is not one: {why}. Give the output of `rlm ask --json`, or a SpanRef."
    )

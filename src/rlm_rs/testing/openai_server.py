"""A server that speaks OpenAI's wire format on a loopback socket, for tests and dry runs.

It serves chat completions and responses (whole or streamed), embeddings, the model list, and Azure's paths,
over a real socket, from a script (see `openai_script`), with latency and faults (see `openai_faults`).

    async with OpenAITestServer(["first reply", "second reply"]) as server:
        provider = OpenAIProvider(OpenAIConfig(api_key="any", base_url=server.base_url))

As a program, `python -m rlm_rs.testing.openai_server --script FILE --log FILE` prints its base URL as the
first line of its output and serves until it is interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rlm_rs.testing import openai_wire as wire
from rlm_rs.testing.openai_faults import (
    ENDINGS,
    WireError,
    error_of,
    no_model,
    too_long,
    unsupported,
    wrong_key,
)
from rlm_rs.testing.openai_http import BadRequest, HttpAnswer, HttpRequest, Wire, read_request, send
from rlm_rs.testing.openai_log import Exchange, ExchangeLog, Outcome
from rlm_rs.testing.openai_script import (
    Api,
    HouseRules,
    Prompt,
    Script,
    Scripted,
    ServedReply,
    as_reply,
    in_order,
    load_script,
)
from rlm_rs.testing.openai_vectors import Embed, embeddings_body, hashed_vector

_DEPLOYMENT = re.compile(r"^/openai/deployments/([^/]+)/chat/completions$")
_ROUTES: Mapping[str, Api] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/openai/v1/chat/completions": "chat",
    "/openai/v1/responses": "responses",
    "/openai/responses": "responses",
}


@dataclass(frozen=True, slots=True)
class _Answered:
    """What will be answered, and what the log says about it."""

    answer: HttpAnswer
    prompt: Prompt | None = None
    fault: str | None = None


class OpenAITestServer:
    """The server as an async context manager on its own port.

    script is a list of replies given once each in order, or a callable from a prompt to a reply (None
    means that nothing fits, which is answered 400). What the callable raises breaks that connection and is
    raised again when the server is left. requests holds every completion asked, in order; embed makes the
    vector of a text, and embedded holds the texts it was asked for.
    """

    def __init__(
        self,
        script: Script | Sequence[Scripted],
        *,
        house: HouseRules | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        embed: Embed = hashed_vector,
    ) -> None:
        self.embedded: list[str] = []
        self._embed = embed
        self._script: Script = script if callable(script) else in_order(script)
        self._house = house or HouseRules()
        self._host, self._port = host, port
        self._log = ExchangeLog(log)
        self._cache = wire.PrefixCache()
        self._served = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    @property
    def origin(self) -> str:
        """Scheme, host and port: what AZURE_OPENAI_ENDPOINT takes."""
        return f"http://{self._host}:{self._port}"

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL takes."""
        return f"{self.origin}/v1"

    @property
    def requests(self) -> Sequence[Exchange]:
        """Every completion asked so far, refused ones included."""
        return self._log.exchanges

    @property
    def max_concurrency(self) -> int:
        """The largest number of completions that were in work at one time."""
        return self._log.max_concurrency

    async def until(self, condition: Callable[[Sequence[Exchange]], bool]) -> None:
        """Wait until a condition on the requests so far holds."""
        while not condition(self.requests):
            self._changed.clear()
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._connected), self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._log.close()
        if kind is None and self._errors:
            raise self._errors[0]

    def _connected(self, gone: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(gone, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._errors.append(error)

    async def _serve(self, gone: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                await self._exchange(gone, writer, request)
        except BadRequest as error:
            await send(gone, writer, _error(WireError(400, str(error))))
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _exchange(self, gone: Wire, writer: asyncio.StreamWriter, request: HttpRequest) -> None:
        if request.method == "GET" or not _route(request)[0]:
            return await send(gone, writer, self._other(request))
        answered = self._complete(request)
        exchange = self._begin(request, answered)
        numbered = {"x-request-id": f"req_{exchange.seq:08d}", **answered.answer.headers}
        outcome: Outcome = "disconnected"
        try:
            await send(gone, writer, replace(answered.answer, headers=numbered))
            outcome = "sent"
        except ConnectionAbortedError:
            outcome = "dropped" if answered.answer.ending == "dropped" else "closed"
            raise
        finally:
            self._log.end(exchange, outcome)
            self._changed.set()

    def _begin(self, request: HttpRequest, answered: _Answered) -> Exchange:
        self._changed.set()
        prompt = answered.prompt
        silent = answered.answer.ending in ("hung", "closed")
        return self._log.begin(
            method=request.method,
            path=request.path,
            model=prompt.model if prompt else "",
            prompt_sha256=prompt.sha256 if prompt else "",
            prompt_chars=len(prompt.text) if prompt else 0,
            status=None if silent else answered.answer.status,
            fault=answered.fault,
            stream=answered.answer.streamed,
            body=dict(prompt.body) if prompt else None,
        )

    def _other(self, request: HttpRequest) -> HttpAnswer:
        if refusal := self._wrong_key(request):
            return _error(refusal)
        if request.method == "GET" and request.path in ("/v1/models", "/openai/v1/models"):
            entry = {"object": "model", "created": 0, "owned_by": "test"}
            models = [{"id": name} | entry for name in self._house.models]
            return _json(200, {"object": "list", "data": models})
        if request.method == "POST" and request.path.endswith("/embeddings"):
            return self._embeddings(request)
        return _error(WireError(404, f"Invalid URL ({request.method} {request.path})"))

    def _embeddings(self, request: HttpRequest) -> HttpAnswer:
        def noted(text: str) -> Sequence[float]:
            self.embedded.append(text)
            return self._embed(text)

        body = embeddings_body(_parsed(request.body), noted)
        return _json(200, body) if body else _error(WireError(400, "input is missing", param="input"))

    def _complete(self, request: HttpRequest) -> _Answered:
        if refusal := self._wrong_key(request):
            return _Answered(_error(refusal))
        api, deployment = _route(request)
        assert api is not None
        if deployment and "api-version" not in request.query:
            return _Answered(_error(WireError(404, "Resource not found", code="404")))
        prompt = wire.read_prompt(api, _parsed(request.body), deployment)
        if isinstance(prompt, WireError):
            return _Answered(_error(prompt))
        if refusal := self._refused(prompt):
            return _Answered(_error(refusal), prompt)
        return self._scripted(prompt)

    def _scripted(self, prompt: Prompt) -> _Answered:
        scripted = self._script(prompt)
        if scripted is None:
            return _Answered(_error(WireError(400, "The script has no reply for this prompt.")), prompt)
        reply = as_reply(scripted)
        if failure := error_of(reply.fault, prompt.model):
            return _Answered(replace(_error(failure), latency=reply.latency), prompt, reply.fault)
        return _Answered(self._answer(prompt, reply), prompt, reply.fault)

    def _answer(self, prompt: Prompt, scripted: ServedReply) -> HttpAnswer:
        reply = wire.cut_to_limit(prompt, _emptied(scripted))
        cached = self._cache.cached_tokens(prompt.model, prompt.text)
        self._served += 1
        served = wire.Served(self._served, prompt, reply, wire.usage_of(prompt, reply, cached))
        answer = _streamed(served) if prompt.body.get("stream") else _whole(served)
        ending = ENDINGS.get(reply.fault or "", "sent")
        return replace(answer, latency=reply.latency, ending=ending)

    def _wrong_key(self, request: HttpRequest) -> WireError | None:
        key = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        return wrong_key(key) if self._house.keys and key not in self._house.keys else None

    def _refused(self, prompt: Prompt) -> WireError | None:
        if self._house.models and prompt.model not in self._house.models:
            return no_model(prompt.model)
        for name in sorted(self._house.rejected(prompt.model)):
            if prompt.body.get(name) is not None and (name, prompt.body[name]) != ("temperature", 1):
                return unsupported(name)
        limit, tokens = self._house.window(prompt.model), wire.prompt_tokens(prompt)
        return too_long(prompt.model, limit, tokens) if limit and tokens > limit else None


def _route(request: HttpRequest) -> tuple[Api | None, str | None]:
    """The API a path belongs to and the Azure deployment it names, if any."""
    if found := _DEPLOYMENT.match(request.path):
        return "chat", found[1]
    return _ROUTES.get(request.path), None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _json(status: int, body: Any) -> HttpAnswer:
    return HttpAnswer(status, (json.dumps(body).encode(),), {})


def _error(error: WireError) -> HttpAnswer:
    return HttpAnswer(error.status, (error.body(),), error.headers)


def _emptied(reply: ServedReply) -> ServedReply:
    if reply.fault == "empty":
        return replace(reply, text="", tool_calls=())
    if reply.fault == "length":
        thought = reply.reasoning or "thinking " * 32
        return replace(reply, text="", tool_calls=(), reasoning=thought, finish_reason="length")
    return reply


def _whole(served: wire.Served) -> HttpAnswer:
    if served.reply.fault == "html":
        return HttpAnswer(200, (b"<html><body>Sign in to the network</body></html>",), {}, "text/html")
    body = wire.chat_body(served) if served.prompt.api == "chat" else wire.responses_body(served)
    if served.reply.fault == "no_choices":
        body.pop("choices" if served.prompt.api == "chat" else "output")
    text = json.dumps(body).encode()
    return HttpAnswer(200, (text[: len(text) // 2] if served.reply.fault == "malformed" else text,), {})


def _streamed(served: wire.Served) -> HttpAnswer:
    events = wire.chat_events(served) if served.prompt.api == "chat" else wire.responses_events(served)
    if served.reply.fault == "malformed":
        events[1] = b'data: {"choices": [\n\n'
    return HttpAnswer(200, tuple(events), {}, "text/event-stream", streamed=True)


def echo(prompt: Prompt) -> ServedReply:
    """A script that answers with the last message, and with no code: for trying a connection."""
    return ServedReply(prompt.last)


async def _run(args: argparse.Namespace) -> None:
    script, house = load_script(args.script) if args.script else (echo, HouseRules())
    keys = (*house.keys, *args.key)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = OpenAITestServer(
        script, house=replace(house, keys=keys), host=args.host, port=args.port, log=args.log
    )
    async with server:
        print(server.base_url, flush=True)
        await stop.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the server as a program until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m rlm_rs.testing.openai_server", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--script", type=Path, help="replies as JSON; without it each prompt is echoed")
    parser.add_argument("--log", type=Path, help="append one JSON line per request and per end")
    parser.add_argument("--key", action="append", default=[], help="an API key to accept (default: any)")
    args = parser.parse_args(argv)
    try:
        asyncio.run(_run(args))
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()

import { useEffect, useState } from "preact/hooks";
import { here, href } from "../app/place";
import { type Call, failed } from "../fold/readings";
import { Copy, LongText, RawJson } from "../parts/small";
import { cost, oneLine, plural, seconds, short } from "../text/amounts";

const KINDS = { llm: "sub model", rlm: "child execution", search: "search", tool: "tool" } as const;

/** A sub-call on one line, with all of it below when opened. */
export function CallRow({ call, open = false }: { call: Call; open?: boolean }) {
  const [shown, setShown] = useState(open);
  useEffect(() => setShown(open), [open]);
  const { request, resolved } = call;
  const state = !resolved ? "pending" : failed(call) ? "error" : "resolved";
  return (
    <details
      class={`call call-${state}`}
      open={shown}
      onToggle={(event) => setShown(event.currentTarget.open)}
      id={`call-${call.turn}-${request.key}`}
    >
      <summary>
        <span class={`kind kind-${request.kind}`}>{request.kind}</span>
        <span class="call-key">{request.key}</span>
        <span class="call-words">{oneLine(request.prompt, 160)}</span>
        <span class="call-amounts">{amounts(call)}</span>
      </summary>
      {shown && <CallDetail call={call} />}
    </details>
  );
}

export function amounts(call: Call): string {
  const { resolved } = call;
  if (!resolved) return "waiting…";
  const tokens = resolved.spend.input_tokens + resolved.spend.output_tokens;
  return [
    failed(call) ? "failed" : "",
    resolved.cache_hit ? "cached" : seconds(resolved.seconds),
    tokens ? `${short(tokens)} tokens` : "",
    resolved.spend.cost_usd ? cost(resolved.spend.cost_usd) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

export function CallDetail({ call }: { call: Call }) {
  const { request, resolved, childId } = call;
  return (
    <div class="call-detail">
      <p class="call-facts">
        <span>{KINDS[request.kind]}</span>
        <a href={here({ turn: call.turn, call: request.key, tab: null })}>turn {call.turn + 1}</a>
        {request.model && <span>{request.model}</span>}
        {request.views && <span>over {plural(request.views.length, "document")}</span>}
        {request.text && <span>over {plural(request.text.length, "text")}</span>}
        {childId && (
          <a class="open-child" href={href(`/executions/${childId}`)}>
            Open the child execution
          </a>
        )}
        <Copy text={() => new URL(here({ turn: call.turn, call: request.key }), location.href).href} label="Copy link" />
      </p>
      <p class="label">{request.kind === "search" ? "Query" : request.kind === "rlm" ? "Question" : "Prompt"}</p>
      <LongText text={request.prompt} class="prose" />
      {resolved && (
        <>
          <p class="label">{request.kind === "search" ? "Hits" : "Answer"}</p>
          {request.kind === "search" ? <Hits call={call} /> : <LongText text={resolved.result.text} class="prose" />}
        </>
      )}
      <RawJson value={{ request, resolved }} />
    </div>
  );
}

function Hits({ call }: { call: Call }) {
  const hits = call.resolved?.result.hits ?? [];
  if (!hits.length) return <p class="hint">{call.resolved?.result.text || "nothing was found"}</p>;
  return (
    <ol class="hits">
      {hits.map((hit, index) => (
        <li key={index}>
          <a href={here({ look: `${String(hit.doc_index)}:${String(hit.start_char)}:${String(hit.end_char)}`, cite: null })}>
            document {String(hit.doc_index)}, {String(hit.start_char)}–{String(hit.end_char)}
          </a>{" "}
          {oneLine(String(hit.preview ?? ""), 200)}
        </li>
      ))}
    </ol>
  );
}

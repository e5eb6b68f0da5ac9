import { useMemo, useState } from "preact/hooks";
import { go, here } from "../app/place";
import { type Call, callsOf, failed } from "../fold/readings";
import type { Run } from "../fold/run";
import { VirtualList } from "../parts/VirtualList";
import { cost, count, oneLine, seconds, short } from "../text/amounts";
import { CallDetail } from "./CallRow";

type Order = "asked" | "time" | "tokens" | "cost";

/** All sub-calls as a table; one of them opened. */
export function CallTable({ run, revision, picked }: { run: Run; revision: number; picked: string | null }) {
  const [kind, setKind] = useState("");
  const [words, setWords] = useState("");
  const [wrong, setWrong] = useState(false);
  const [order, setOrder] = useState<Order>("asked");
  const all = useMemo(() => callsOf(run), [run, revision]);
  const rows = useMemo(() => {
    const wanted = words.toLowerCase();
    const found = all.filter(
      (call) =>
        (!kind || call.request.kind === kind) &&
        (!wrong || failed(call)) &&
        (!wanted || `${call.request.key} ${call.request.prompt}`.toLowerCase().includes(wanted)),
    );
    return order === "asked" ? found : [...found].sort((a, b) => figure(b, order) - figure(a, order));
  }, [all, kind, words, wrong, order]);
  if (!all.length) return <p class="hint">No sub-calls: the steps asked no model and started no child.</p>;
  return (
    <div class="call-table">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Kind{" "}
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            <option value="">all</option>
            <option value="llm">sub model</option>
            <option value="rlm">children</option>
            <option value="search">searches</option>
            <option value="tool">tools</option>
          </select>
        </label>
        <label>
          Sort{" "}
          <select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}>
            <option value="asked">as asked</option>
            <option value="time">longest first</option>
            <option value="tokens">most tokens first</option>
            <option value="cost">dearest first</option>
          </select>
        </label>
        <label class="grow">
          <span class="sr">Words in the key or prompt</span>
          <input type="search" placeholder="Words in the key or prompt" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        </label>
        <label>
          <input type="checkbox" checked={wrong} onChange={(event) => setWrong(event.currentTarget.checked)} /> failed only
        </label>
        <output>
          {count(rows.length)} of {count(all.length)}
        </output>
      </form>
      <div class="call-columns" aria-hidden="true">
        <span>turn</span>
        <span>kind</span>
        <span>key</span>
        <span>asked</span>
        <span>time</span>
        <span>tokens</span>
        <span>cost</span>
      </div>
      <VirtualList
        label="Sub-calls"
        items={rows}
        keyOf={keyOf}
        estimate={34}
        focus={picked}
        render={(call) => <Row call={call} open={picked === keyOf(call)} />}
      />
    </div>
  );
}

export const keyOf = (call: Call): string => `${call.turn}/${call.request.key}`;

function Row({ call, open }: { call: Call; open: boolean }) {
  const { request, resolved } = call;
  const tokens = figure(call, "tokens");
  const toggle = (): void => go(here({ call: open ? null : request.key, of: open ? null : call.turn }), true);
  return (
    <div class={`call-line call-${!resolved ? "pending" : failed(call) ? "error" : "resolved"}`}>
      <button type="button" class="call-columns" aria-expanded={open} onClick={toggle}>
        <span>{call.turn + 1}</span>
        <span class={`kind kind-${request.kind}`}>{request.kind}</span>
        <span class="call-key">{request.key}</span>
        <span class="call-words">{oneLine(request.prompt, 140)}</span>
        <span>{!resolved ? "waiting" : resolved.cache_hit ? "cached" : seconds(resolved.seconds)}</span>
        <span>{tokens ? short(tokens) : "–"}</span>
        <span>{resolved?.spend.cost_usd ? cost(resolved.spend.cost_usd) : "–"}</span>
      </button>
      {open && <CallDetail call={call} />}
    </div>
  );
}

function figure({ resolved }: Call, order: Order): number {
  if (!resolved) return -1;
  if (order === "time") return resolved.seconds;
  if (order === "cost") return resolved.spend.cost_usd ?? 0;
  return resolved.spend.input_tokens + resolved.spend.output_tokens;
}

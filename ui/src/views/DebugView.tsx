import { useEffect, useReducer, useState } from "preact/hooks";
import type { Event } from "../api/backend";
import { exchanges, heard } from "../api/client";
import type { AuditPage, AuditRow, Envelope, Ready } from "../api/schema";
import { service } from "../api/service";
import { go, here, usePlace } from "../app/place";
import { useWho } from "../app/who";
import { Copy, Empty, Json, Notice, Pill, RawJson, Tabs } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { usePaged } from "./usePaged";

const TABS = [
  { id: "health", label: "Health" },
  { id: "requests", label: "Requests" },
  { id: "audit", label: "Audit log" },
  { id: "events", label: "Events" },
];

/** What the service says of itself, what this page asked it, and journals as they are. */
export function DebugView() {
  const { query } = usePlace();
  const tab = query.get("tab") ?? (query.get("execution") ? "events" : "health");
  return (
    <div class="page">
      <h1>Debug</h1>
      <div class="tab-line">
        <Tabs label="Debug" tabs={TABS} picked={tab} pick={(id) => go(here({ tab: id }), true)} />
      </div>
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "health" && <Health />}
        {tab === "requests" && <Requests />}
        {tab === "audit" && <Audit />}
        {tab === "events" && <Events id={query.get("execution") ?? ""} />}
      </div>
    </div>
  );
}

interface Standing {
  live: boolean;
  ready: boolean;
  checks: Record<string, string>;
  failed: Record<string, string>;
}

function Health() {
  const who = useWho();
  const [found, setFound] = useState<Standing | null>(null);
  const look = async (): Promise<void> => {
    const live = await fetch("/health/live").then((reply) => reply.ok).catch(() => false);
    try {
      const reply = await fetch("/health/ready");
      const body = (await reply.json()) as Ready | Envelope;
      const details = "error" in body ? (body.error.details as { checks?: Record<string, string>; failed?: Record<string, string> }) : body;
      setFound({ live, ready: reply.ok, checks: details.checks ?? {}, failed: ("failed" in details && details.failed) || {} });
    } catch {
      setFound({ live, ready: false, checks: {}, failed: { service: "does not answer" } });
    }
  };
  useEffect(() => void look(), []);
  if (!found) return <p class="hint">Looking…</p>;
  return (
    <>
      <p class="verdict">
        <Pill status={found.ready ? "ok" : "failed"} /> {found.ready ? "Everything a request needs works." : "Not ready."}
        <button type="button" class="quiet" onClick={() => void look()}>
          Look again
        </button>
        <Copy text="rlm doctor" label="Copy the command for more: rlm doctor" />
      </p>
      <dl class="checks">
        <dt>process</dt>
        <dd class={found.live ? "check-valid" : "check-invalid"}>{found.live ? "✓ answers" : "✗ does not answer"}</dd>
        {Object.entries(found.checks).flatMap(([name, words]) => [
          <dt key={name}>{name}</dt>,
          <dd key={`${name} found`}>
            <span class="check-valid">✓</span> {words}
          </dd>,
        ])}
        {Object.entries(found.failed).flatMap(([name, words]) => [
          <dt key={name}>{name}</dt>,
          <dd key={`${name} failed`} class="check-invalid">
            ✗ {words}
          </dd>,
        ])}
      </dl>
      <section class="section">
        <h2>Signed in</h2>
        <dl class="checks">
          <dt>tenant</dt>
          <dd>{who.tenant_id}</dd>
          <dt>key</dt>
          <dd>
            {who.key_name} ({who.key_id})
          </dd>
          <dt>scopes</dt>
          <dd>{who.scopes.join(", ")}</dd>
          <dt>models</dt>
          <dd>
            {who.models.root_model}, {who.models.sub_model}
          </dd>
          <dt>version</dt>
          <dd>{who.version}</dd>
        </dl>
        <RawJson value={who} />
      </section>
    </>
  );
}

function Requests() {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const changed = (): void => redraw(0);
    heard.exchange.add(changed);
    return () => void heard.exchange.delete(changed);
  }, []);
  return (
    <>
      <p class="hint">The last requests of this page; the id is what the service's log and its errors have.</p>
      <div class="rows">
        {exchanges.map((one) => (
          <div class="row row-request" key={one.requestId || one.at}>
            <span>{new Date(one.at).toLocaleTimeString()}</span>
            <span>{one.method}</span>
            <span title={one.path}>{one.path}</span>
            <span class={one.status >= 200 && one.status < 400 ? "" : "bad"}>{one.status || "–"}</span>
            <span>{Math.round(one.ms)} ms</span>
            <span title={one.problem}>{one.problem || one.requestId}</span>
          </div>
        ))}
      </div>
    </>
  );
}

const auditOf = (page: AuditPage): { rows: AuditRow[]; next: string | null } => ({ rows: page.entries, next: page.next_cursor });

function Audit() {
  const { rows, problem, more, loading, next } = usePaged<AuditRow>("/v1/audit?limit=100", auditOf);
  if (problem) return <Notice>{problem}</Notice>;
  if (!rows.length && !loading) return <Empty title="Nothing was made, changed or removed yet" />;
  return (
    <>
      <div class="rows">
        <VirtualList
          label="Audit log"
          items={rows}
          keyOf={(row) => row.request_id}
          estimate={38}
          render={(row) => (
            <div class="row row-audit">
              <span>{new Date(row.at).toLocaleString()}</span>
              <span>{row.method}</span>
              <span title={row.path}>{row.path}</span>
              <span class={row.status < 400 ? "" : "bad"}>{row.status}</span>
              <span>{row.key_id}</span>
              <span title={row.request_id}>{row.request_id}</span>
            </div>
          )}
        />
      </div>
      {more && (
        <p class="more">
          <button type="button" onClick={() => void next()}>
            Show older ones
          </button>
        </p>
      )}
    </>
  );
}

function Events({ id }: { id: string }) {
  const [events, setEvents] = useState<(readonly [number, Event])[]>([]);
  const [state, setState] = useState("");
  useEffect(() => {
    setEvents([]);
    setState("");
    if (!id) return undefined;
    return service.follow(id, {
      events: (batch) => setEvents((before) => [...before, ...batch]),
      state: (now, problem) => setState(problem || now),
    });
  }, [id]);
  return (
    <>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          <span class="sr">Execution id</span>
          <input type="search" placeholder="exec_…" value={id} onChange={(event) => go(here({ execution: event.currentTarget.value.trim(), tab: "events" }), true)} />
        </label>
        <output>
          {events.length} events {state && `(${state})`}
        </output>
      </form>
      {!id && <Empty title="Paste the id of an execution" command="rlm show ID --events" />}
      <VirtualList
        label="Events"
        items={events}
        keyOf={([seq]) => String(seq)}
        estimate={34}
        render={([seq, event]) => <EventLine seq={seq} event={event} />}
      />
    </>
  );
}

function EventLine({ seq, event }: { seq: number; event: Event }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="event" onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
      <summary>
        <code>{seq}</code> {event.type} <span class="hint">{new Date(event.at * 1000).toLocaleTimeString()}, after {event.elapsed.toFixed(2)} s of work</span>
      </summary>
      {open && <Json value={event} />}
    </details>
  );
}


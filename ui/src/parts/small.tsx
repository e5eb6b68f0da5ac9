import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { reasonOf } from "../api/client";

/** The small pieces that every view is made of. */

export function Pill({ status }: { status: string }) {
  return <span class={`pill pill-${status.toLowerCase()}`}>{status.replaceAll("_", " ").toLowerCase()}</span>;
}

export function Notice({ children, kind = "error" }: { children: ComponentChildren; kind?: "error" | "note" }) {
  return (
    <p class={`notice notice-${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </p>
  );
}

/** Nothing is here yet, and the one command that changes it. */
export function Empty({ title, command, children }: { title: string; command?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
      {command && (
        <p class="command">
          <code>{command}</code>
          <Copy text={command} label="Copy" />
        </p>
      )}
    </div>
  );
}

export function Copy({ text, label }: { text: string | (() => string); label: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = said ? setTimeout(() => setSaid(""), 1500) : 0;
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      setSaid("Copied");
    } catch {
      setSaid("Not allowed here");
    }
  };
  return (
    <button type="button" class="quiet" onClick={() => void copy()}>
      <span aria-live="polite">{said || label}</span>
    </button>
  );
}

/** JSON on demand: it is only written out once it is asked for. */
export function RawJson({ value, label = "JSON" }: { value: unknown; label?: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="raw" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{label}</summary>
      {open && <Json value={value} />}
    </details>
  );
}

const SHOWN = 200_000;

export function Json({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  return (
    <div class="json">
      <Copy text={text} label="Copy JSON" />
      <pre tabIndex={0}>
        {text.slice(0, SHOWN)}
        {text.length > SHOWN && "\n…"}
      </pre>
    </div>
  );
}

/** A text that is shown in part until the rest is asked for. */
export function LongText({ text, most = 1200, class: name = "" }: { text: string; most?: number; class?: string }) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > most * 1.3;
  return (
    <div class={`long ${name}`}>
      <pre tabIndex={0}>{cut ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text}</pre>
      {cut && (
        <button type="button" class="quiet" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString("en")} characters
        </button>
      )}
    </div>
  );
}

/** A button whose work may take a while or fail. */
export function Act({
  label,
  work,
  class: name = "",
  disabled = false,
}: {
  label: string;
  work: () => Promise<unknown>;
  class?: string;
  disabled?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const shown = useRef(true);
  useEffect(() => () => void (shown.current = false), []);
  const act = async (): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      await work();
    } catch (error) {
      if (shown.current) setProblem(reasonOf(error));
    }
    if (shown.current) setBusy(false);
  };
  return (
    <>
      <button type="button" class={name} disabled={busy || disabled} onClick={() => void act()}>
        {label}
      </button>
      {problem && <Notice>{problem}</Notice>}
    </>
  );
}

export interface Tab {
  id: string;
  label: string;
  mark?: string | number;
}

/** Tabs as WAI-ARIA has them; the panel belongs to whoever shows them. */
export function Tabs({ tabs, picked, pick, label }: { tabs: Tab[]; picked: string; pick: (id: string) => void; label: string }) {
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = tabs.findIndex((tab) => tab.id === picked);
    const next = tabs[(index + step + tabs.length) % tabs.length];
    if (!next) return;
    pick(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          id={`tab-${tab.id}`}
          aria-selected={tab.id === picked}
          aria-controls="tab-panel"
          tabIndex={tab.id === picked ? 0 : -1}
          onClick={() => pick(tab.id)}
        >
          {tab.label}
          {tab.mark !== undefined && (
            <>
              {" "}
              <span class="tab-mark">{typeof tab.mark === "number" ? tab.mark.toLocaleString("en") : tab.mark}</span>
            </>
          )}
        </button>
      ))}
    </div>
  );
}

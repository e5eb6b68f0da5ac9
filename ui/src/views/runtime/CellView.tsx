import { useLayoutEffect, useRef } from "preact/hooks";
import { here } from "../../app/place";
import { isRead, type Turn } from "../../fold/run";
import { LongText, RawJson } from "../../parts/small";
import { count, plural, seconds } from "../../text/amounts";
import type { Cell } from "./cells";

interface Props {
  cell: Cell;
  turn: Turn | null;
  busy: boolean;
  waiting: boolean;
  closed: boolean;
  edit: (code: string) => void;
  run: () => void;
  runOn: () => void;
  move: (by: number) => void;
  remove: () => void;
}

/** Code and, below it, what it last gave. */
export function CellView({ cell, turn, busy, waiting, closed, edit, run, runOn, move, remove }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight + 2}px`;
  }, [cell.code]);
  const label = busy ? "*" : cell.turn === null ? " " : cell.turn + 1;
  return (
    <section class={`cell${turn?.step?.error ? " cell-failed" : ""}`} aria-label={`Cell ${cell.turn === null ? "not run" : `run as turn ${cell.turn + 1}`}`}>
      <header class="cell-head">
        <span>[{label}]</span>
        <button type="button" class="quiet" disabled={busy || waiting || closed} onClick={run}>
          Run
        </button>
        {turn?.step && <span>{seconds(turn.step.usage.wall_seconds)}</span>}
        <span class="cell-tools">
          <button type="button" class="quiet" aria-label="Move up" onClick={() => move(-1)}>
            ↑
          </button>
          <button type="button" class="quiet" aria-label="Move down" onClick={() => move(1)}>
            ↓
          </button>
          <button type="button" class="quiet" aria-label="Remove the cell" onClick={remove}>
            ✕
          </button>
        </span>
      </header>
      <textarea
        ref={area}
        aria-label="Code"
        spellcheck={false}
        rows={1}
        value={cell.code}
        onInput={(event) => edit(event.currentTarget.value)}
        onKeyDown={(event) => typed(event, run, runOn)}
      />
      {turn && <CellOutput turn={turn} />}
    </section>
  );
}

function typed(event: KeyboardEvent, run: () => void, runOn: () => void): void {
  const area = event.currentTarget as HTMLTextAreaElement;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.shiftKey)) {
    event.preventDefault();
    if (event.shiftKey) runOn();
    else run();
  } else if (event.key === "Tab" && !event.shiftKey && area.selectionStart === area.selectionEnd && beforeCaretIsBlank(area)) {
    // at the beginning of a line Tab indents; elsewhere it leaves the cell, as everywhere on the page
    event.preventDefault();
    area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function beforeCaretIsBlank(area: HTMLTextAreaElement): boolean {
  const line = area.value.slice(0, area.selectionStart).split("\n").pop() ?? "";
  return line.trim() === "" && area.value.slice(0, area.selectionStart).includes("\n");
}

function CellOutput({ turn }: { turn: Turn }) {
  const { step } = turn;
  if (!step) return <p class="output hint working">running…</p>;
  const read = step.spans.filter(isRead);
  return (
    <div class="output">
      {step.stdout && <LongText text={step.stdout} class="stdout" most={6000} />}
      {step.stdout_dropped > 0 && <p class="hint">{count(step.stdout_dropped)} more characters were not kept</p>}
      {step.error && (
        <p class="step-error">
          <strong>{step.error.code}</strong>
          {step.error.line ? ` in line ${step.error.line}` : ""}: {step.error.message}
        </p>
      )}
      {step.yielded !== null && step.yielded !== undefined && <p class="hint">yielded{step.yielded && `: ${step.yielded}`}</p>}
      {step.final && (
        <p class="final">
          <strong>FINAL</strong> {step.final.answer}
        </p>
      )}
      <footer class="turn-foot">
        {read.length > 0 && (
          <a href={here({ side: "passages", turn: turn.index })}>read {plural(read.length, "passage")}</a>
        )}
        {step.requests.length > 0 && <a href={here({ side: "requests" })}>queued {plural(step.requests.length, "sub-call")}</a>}
        <RawJson value={step} />
      </footer>
    </div>
  );
}

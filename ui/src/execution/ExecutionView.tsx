import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useBackend } from "../api/backend";
import { useKeys } from "../app/keys";
import { go, here, usePlace } from "../app/place";
import { useDocuments } from "../documents/useDocuments";
import { callsOf, citationsOf, coverageOf } from "../fold/readings";
import type { Run } from "../fold/run";
import { type Followed, useRun } from "../fold/useRun";
import { Empty, Notice, type Tab, Tabs } from "../parts/small";
import { Actions, FollowUp } from "./Actions";
import { AnswerHead } from "./AnswerHead";
import { CallTable } from "./CallTable";
import { CitationList } from "./CitationList";
import { Contexts } from "./Contexts";
import { CorpusMap } from "./CorpusMap";
import { Evaluation, evaluable } from "./Evaluation";
import { Outline } from "./Outline";
import { type Look, SourcePane } from "./SourcePane";
import { Spend } from "./Spend";
import { TimeStrip } from "./TimeStrip";
import { Tree } from "./Tree";
import { Turns } from "./Turns";
import { useChecks } from "./useChecks";

/** An execution: its answer beside the source, and how it came about below. */
export function ExecutionView({ id, traces = false }: { id: string; traces?: boolean }) {
  const followed = useRun(id);
  if (followed.run) return <Shown followed={followed} run={followed.run} traces={traces} />;
  if (followed.state !== "failed") return <p class="hint page">Loading…</p>;
  return (
    <div class="page">
      <Empty title="This execution is not here" command="rlm list">
        <p>{followed.problem}</p>
      </Empty>
    </div>
  );
}

function Shown({ followed, run, traces }: { followed: Followed; run: Run; traces: boolean }) {
  const { live } = useBackend();
  const { revision, state } = followed;
  const { execution, finished } = run;
  const { query } = usePlace();
  const now = useNow(!finished);
  const citations = citationsOf(run);
  const checks = useChecks(citations, execution.execution_id);
  const coverage = useMemo(() => coverageOf(run), [run, revision]);
  const { documents, gone } = useDocuments(execution.session_id);
  const picked = numberOf(query.get("cite")) ?? (citations.length && !query.get("look") ? 1 : null);
  const tab = query.get("tab") ?? (execution.output_mode === "CONTEXTS" && finished ? "contexts" : "turns");
  const [follow, setFollow] = useState(true);
  const turn = query.get("turn") ?? (follow && !finished && run.turns.length ? String(run.turns.length - 1) : null);
  const left = useRef<HTMLDivElement>(null);
  useClearOfHead(left);
  const ran = useRef(false);
  useEffect(() => {
    // the answer has come: from the turns back to what they were for
    if (finished && ran.current && follow) left.current?.scrollTo({ top: 0 });
    if (finished && ran.current) dispatchEvent(new Event("executionended"));
    ran.current = !finished;
  }, [Boolean(finished)]);
  useKeys({
    j: () => go(here({ turn: Math.min(run.turns.length - 1, Number(turn ?? -1) + 1), tab: null }), true),
    k: () => go(here({ turn: Math.max(0, Number(turn ?? 1) - 1), tab: null }), true),
    f: finished ? undefined : () => setFollow((now_) => !now_),
  });
  const tabs = tabsOf(run, documents?.length ?? 0, live);
  const call = query.get("call");
  return (
    <div class="execution">
      <div class="work" ref={left} tabIndex={0} role="region" aria-label="Answer and turns">
        <AnswerHead run={run} following={state} citations={citations} checks={checks} picked={picked} now={now} />
        {live && <Actions run={run} traces={traces} />}
        {state === "failed" && <Notice>{followed.problem}</Notice>}
        {gone && <Notice kind="note">The documents cannot be shown: {gone}</Notice>}
        <TimeStrip run={run} revision={revision} now={now} />
        <div class="tab-line">
          <Tabs label="How it came about" tabs={tabs} picked={tab} pick={(id) => go(here({ tab: id === "turns" ? null : id }), true)} />
          {!finished && (
            <label class="follow">
              <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} /> follow
            </label>
          )}
        </div>
        <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} class={`panel panel-${tab}`}>
          {tab === "turns" && <Outline run={run} revision={revision} picked={turn} />}
          {tab === "turns" && <Turns run={run} revision={revision} focus={turn} call={call} />}
          {tab === "calls" && <CallTable run={run} revision={revision} picked={call && `${query.get("of") ?? query.get("turn") ?? 0}/${call}`} />}
          {tab === "citations" && <CitationList citations={citations} checks={checks} picked={picked} />}
          {tab === "tree" && <Tree run={run} revision={revision} />}
          {tab === "corpus" && <CorpusMap documents={documents ?? []} coverage={coverage} citations={citations} />}
          {tab === "spend" && <Spend run={run} />}
          {tab === "evaluation" && live && evaluable(run) && <Evaluation id={execution.execution_id} />}
          {tab === "contexts" && <Contexts items={finished?.contexts ?? []} />}
        </div>
        {live && finished && execution.mode === "ANSWERER" && !execution.parent && !gone && <FollowUp run={run} />}
      </div>
      <SourcePane
        sessionId={execution.session_id}
        documents={documents ?? []}
        citations={citations}
        checks={checks}
        coverage={coverage}
        picked={picked}
        look={lookOf(query.get("look"))}
        live={live}
      />
    </div>
  );
}

function tabsOf(run: Run, documents: number, live: boolean): Tab[] {
  const calls = callsOf(run).length;
  const tabs: Tab[] = [
    { id: "turns", label: "Turns", mark: run.turns.length },
    { id: "citations", label: "Citations", mark: citationsOf(run).length },
    { id: "calls", label: "Sub-calls", mark: calls },
    { id: "tree", label: "Tree" },
    { id: "corpus", label: "Corpus", mark: documents || undefined },
    { id: "spend", label: "Budgets" },
  ];
  // a report holds no evaluation, and none is made from it
  if (live && evaluable(run)) tabs.push({ id: "evaluation", label: "Evaluation" });
  return run.execution.output_mode === "CONTEXTS" ? [{ id: "contexts", label: "Contexts", mark: run.finished?.contexts.length }, ...tabs] : tabs;
}

/** What is scrolled to stops below the answer, which stays. */
function useClearOfHead(pane: { current: HTMLDivElement | null }): void {
  useEffect(() => {
    const head = pane.current?.querySelector<HTMLElement>(":scope > .answer");
    if (!head) return undefined;
    const watch = new ResizeObserver(() => {
      const stays = getComputedStyle(head).position === "sticky";
      pane.current?.style.setProperty("scroll-padding-top", `${stays ? head.offsetHeight + 8 : 8}px`);
    });
    watch.observe(head);
    return () => watch.disconnect();
  }, []);
}

/** Seconds since the epoch, moving while something runs. */
function useNow(moving: boolean): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => setNow(Date.now() / 1000), 500);
    return () => clearInterval(timer);
  }, [moving]);
  return now;
}

function numberOf(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

function lookOf(text: string | null): Look | null {
  const found = text?.match(/^(\d+):(\d+):(\d+)$/);
  return found ? { doc: Number(found[1]), start: Number(found[2]), end: Number(found[3]) } : null;
}

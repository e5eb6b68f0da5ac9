import { useEffect, useRef, useState } from "preact/hooks";
import { post, reasonOf } from "../../api/client";
import type { StartedOut, StepOut } from "../../api/schema";
import { go, href } from "../../app/place";
import { useDocuments } from "../../documents/useDocuments";
import { statusOf } from "../../fold/readings";
import type { Run } from "../../fold/run";
import { type Followed, useRun } from "../../fold/useRun";
import { Act, Empty, Notice, Pill } from "../../parts/small";
import { cost, plural, seconds } from "../../text/amounts";
import { CellView } from "./CellView";
import { type Cell, cell, cellsOf, keepCells } from "./cells";
import { Inspector } from "./Inspector";

/** A client-driven execution as a notebook: what was run is in the journal, so a reload loses nothing. */
export function RuntimeView({ id }: { id: string }) {
  const followed = useRun(id);
  if (followed.run) return <Notebook id={id} run={followed.run} followed={followed} />;
  if (followed.state !== "failed") return <p class="hint page">Loading…</p>;
  return (
    <div class="page">
      <Empty title="This execution is not here">
        <p>{followed.problem}</p>
      </Empty>
    </div>
  );
}

function Notebook({ id, run, followed }: { id: string; run: Run; followed: Followed }) {
  const [cells, setCells] = useState<Cell[]>(() => cellsOf(run, id));
  const [busy, setBusy] = useState<number | null>(null);
  const [resolve, setResolve] = useState(false);
  const [problem, setProblem] = useState("");
  const latest = useRef(cells);
  latest.current = cells;
  const { documents, gone } = useDocuments(run.execution.session_id);
  useEffect(() => keepCells(id, cells), [id, cells]);
  const closed = Boolean(run.finished) || run.execution.mode !== "RUNTIME";

  const change = (cellId: number, now: Partial<Cell>): void => setCells((all) => all.map((one) => (one.id === cellId ? { ...one, ...now } : one)));
  /** Run one cell; whether it did what it should and steps may go on. */
  const take = async (cellId: number): Promise<boolean> => {
    const code = latest.current.find((one) => one.id === cellId)?.code ?? "";
    setBusy(cellId);
    setProblem("");
    try {
      const step = await post<StepOut>(`/v1/executions/${id}/steps`, { code, options: { resolve_tools: resolve } });
      change(cellId, { turn: step.turn_index ?? null });
      return step.success && !step.final?.is_final;
    } catch (error) {
      setProblem(reasonOf(error));
      return false;
    } finally {
      setBusy(null);
    }
  };
  const takeAll = async (): Promise<void> => {
    for (const one of latest.current) if (one.code.trim() && !(await take(one.id))) return;
  };
  const takeAndGoOn = async (cellId: number): Promise<void> => {
    if (!(await take(cellId))) return;
    const index = latest.current.findIndex((one) => one.id === cellId);
    if (index === latest.current.length - 1) setCells((all) => [...all, cell()]);
    requestAnimationFrame(() => document.querySelectorAll<HTMLTextAreaElement>(".cell textarea")[index + 1]?.focus());
  };
  const reset = async (): Promise<void> => {
    const { session_id, models } = run.execution;
    const body = { models: { root_model: models.root, sub_model: models.sub } };
    const started = await post<StartedOut>(`/v1/sessions/${session_id}/executions/runtime`, body);
    if (!run.finished) await post(`/v1/executions/${id}/cancel`);
    keepCells(started.execution_id, latest.current.map((one) => ({ ...one, turn: null })));
    go(href(`/executions/${started.execution_id}/runtime`));
  };
  const move = (index: number, by: number): void =>
    setCells((all) => {
      const moved = [...all];
      const [taken] = moved.splice(index, 1);
      if (taken) moved.splice(Math.max(0, Math.min(moved.length, index + by)), 0, taken);
      return moved;
    });
  const remove = (cellId: number): void =>
    setCells((all) => {
      const left = all.filter((one) => one.id !== cellId);
      return left.length ? left : [cell()];
    });
  return (
    <div class="runtime">
      <div class="cells" tabIndex={0} role="region" aria-label="Cells">
        <h1>Steps</h1>
        <p class="answer-meta">
          <Pill status={statusOf(run)} />
          <span>{seconds(run.spend.seconds)}</span>
          <span>{plural(run.spend.turns, "step")}</span>
          <span>{cost(run.spend.cost_usd)}</span>
          <a href={href(`/sessions/${run.execution.session_id}`)}>session</a>
          <a href={href(`/executions/${id}`)}>as an execution</a>
          {followed.state === "reconnecting" && <span>reconnecting…</span>}
        </p>
        <div class="runtime-tools">
          <button type="button" class="primary" disabled={busy !== null || closed} onClick={() => void takeAll()}>
            Run all
          </button>
          <button type="button" onClick={() => setCells((all) => [...all, cell()])}>
            Add a cell
          </button>
          <Act label="Reset" work={reset} />
          {!run.finished && <Act label="End" class="danger" work={() => post(`/v1/executions/${id}/cancel`)} />}
          <label>
            <input type="checkbox" checked={resolve} onChange={(event) => setResolve(event.currentTarget.checked)} /> resolve queued sub-calls at once
          </label>
        </div>
        {problem && <Notice>{problem}</Notice>}
        {gone && <Notice>{gone}</Notice>}
        {run.finished && <Notice kind="note">This execution has ended ({run.finished.status.toLowerCase()}). Reset begins another with the same cells.</Notice>}
        {cells.map((one, index) => (
          <CellView
            key={one.id}
            cell={one}
            turn={one.turn === null ? null : (run.turns[one.turn] ?? null)}
            busy={busy === one.id}
            waiting={busy !== null}
            closed={closed}
            edit={(code) => change(one.id, { code })}
            run={() => void take(one.id)}
            runOn={() => void takeAndGoOn(one.id)}
            move={(by) => move(index, by)}
            remove={() => remove(one.id)}
          />
        ))}
      </div>
      <Inspector run={run} revision={followed.revision} documents={documents ?? []} closed={closed} />
    </div>
  );
}

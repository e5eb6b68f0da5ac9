import { post } from "../api/client";
import type { ExecutionRow } from "../api/schema";
import { href } from "../app/place";
import { Act, Pill } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { ago, cost, oneLine, plural, seconds } from "../text/amounts";

/** Executions as rows, newest first. */
export function ExecutionRows({ rows, changed }: { rows: readonly ExecutionRow[]; changed: () => void }) {
  return (
    <div class="rows">
      <div class="row row-head row-execution" aria-hidden="true">
        <span>status</span>
        <span>question</span>
        <span>time</span>
        <span>turns</span>
        <span>cost</span>
        <span>started</span>
        <span />
      </div>
      <VirtualList
        label="Executions"
        items={rows}
        keyOf={(row) => row.execution_id}
        estimate={40}
        render={(row) => <Row row={row} changed={changed} />}
      />
    </div>
  );
}

function Row({ row, changed }: { row: ExecutionRow; changed: () => void }) {
  const took = row.completed_at ? seconds((Date.parse(row.completed_at) - Date.parse(row.started_at)) / 1000) : "–";
  const cancel = async (): Promise<void> => {
    await post(`/v1/executions/${row.execution_id}/cancel`);
    changed();
  };
  const runtime = row.mode === "RUNTIME";
  return (
    <div class="row row-execution">
      <span>
        <Pill status={row.status} />
      </span>
      <a href={href(`/executions/${row.execution_id}${runtime && row.status === "RUNNING" ? "/runtime" : ""}`)} title={row.question}>
        {runtime ? "Steps written by a client" : oneLine(row.question, 200)}
        {row.output_mode === "CONTEXTS" && <span class="tag">contexts</span>}
        {row.parent_id && <span class="tag">child</span>}
      </a>
      <span>{took}</span>
      <span title={plural(row.turns, "turn")}>{row.turns || "–"}</span>
      <span>{row.status === "RUNNING" ? "–" : cost(row.cost_usd)}</span>
      <span title={row.started_at}>{ago(row.started_at)}</span>
      <span>{row.status === "RUNNING" && <Act label="Cancel" class="quiet danger" work={cancel} />}</span>
    </div>
  );
}

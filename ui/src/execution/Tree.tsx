import { useMemo, useState } from "preact/hooks";
import { href } from "../app/place";
import { type Call, failed, stretchesOf, turnCalls, turnFailed } from "../fold/readings";
import type { Run } from "../fold/run";
import { useRun } from "../fold/useRun";
import { VirtualList } from "../parts/VirtualList";
import { cost, oneLine, seconds, short } from "../text/amounts";

interface Branch {
  id: string;
  depth: number;
  label: string;
  words: string;
  kind: string;
  time: number;
  tokens: number;
  cost: number | null;
  failed: boolean;
  goes: string;
  child: string | null;
}

/** Turns, their sub-calls and, when opened, the turns of child executions; the way to an error in red. */
export function Tree({ run, revision }: { run: Run; revision: number }) {
  const branches = useMemo(() => branchesOf(run), [run, revision]);
  if (!branches.length) return <p class="hint">No turn yet.</p>;
  return (
    <VirtualList
      class="tree"
      label="Turns and sub-calls"
      items={branches}
      keyOf={(branch) => branch.id}
      estimate={30}
      render={(branch) => <BranchRow branch={branch} level={0} />}
    />
  );
}

function BranchRow({ branch, level }: { branch: Branch; level: number }) {
  const [open, setOpen] = useState(false);
  const depth = branch.depth + level;
  return (
    <>
      <div class={`branch${branch.failed ? " branch-failed" : ""}`} data-depth={Math.min(depth, 8)}>
        {branch.child ? (
          <button type="button" class="twist" aria-expanded={open} aria-label={`Child execution ${branch.label}`} onClick={() => setOpen(!open)}>
            {open ? "▾" : "▸"}
          </button>
        ) : (
          <span class="twist" aria-hidden="true" />
        )}
        <span class={`kind kind-${branch.kind}`}>{branch.kind}</span>
        <a href={branch.goes}>{branch.label}</a>
        <span class="branch-words">{branch.words}</span>
        <span class="branch-figure">{branch.time ? seconds(branch.time) : ""}</span>
        <span class="branch-figure">{branch.tokens ? `${short(branch.tokens)} tok` : ""}</span>
        <span class="branch-figure">{branch.cost ? cost(branch.cost) : ""}</span>
      </div>
      {open && branch.child && <ChildBranches id={branch.child} level={depth + 1} />}
    </>
  );
}

function ChildBranches({ id, level }: { id: string; level: number }) {
  const { run, revision, state, problem } = useRun(id);
  const branches = useMemo(() => (run ? branchesOf(run) : []), [run, revision]);
  if (!run) return <p class="hint">{state === "failed" ? problem : "loading…"}</p>;
  return (
    <>
      {branches.map((branch) => (
        <BranchRow key={branch.id} branch={branch} level={level} />
      ))}
    </>
  );
}

function branchesOf(run: Run): Branch[] {
  const own = run.execution.execution_id;
  const at = (changes: Record<string, string | number | null>): string =>
    href(`/executions/${own}`, changes);
  const times = new Map<number, number>();
  for (const one of stretchesOf(run, run.lastAt))
    if (one.kind === "root" || one.kind === "step") times.set(one.turn, (times.get(one.turn) ?? 0) + one.end - one.begin);
  return run.turns.flatMap((turn) => {
    const calls = turnCalls(run, turn);
    const { usage, cost_usd } = turn.reply;
    const head: Branch = {
      id: `${own}/${turn.index}`,
      depth: 0,
      label: `Turn ${turn.index + 1}`,
      words: oneLine(turn.step?.error?.message ?? turn.reply.problem ?? (turn.step?.final ? `FINAL ${turn.step.final.answer}` : (turn.step?.stdout ?? "")), 100),
      kind: "turn",
      time: times.get(turn.index) ?? 0,
      tokens: (usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0),
      cost: cost_usd ?? null,
      failed: turnFailed(turn) || calls.some(failed),
      goes: at({ turn: turn.index }),
      child: null,
    };
    return [head, ...calls.map((call) => callBranch(call, own, at))];
  });
}

function callBranch(call: Call, own: string, at: (changes: Record<string, string | number>) => string): Branch {
  const { request, resolved } = call;
  return {
    id: `${own}/${call.turn}/${request.key}`,
    depth: 1,
    label: request.key,
    words: oneLine(request.prompt, 100),
    kind: request.kind,
    time: resolved?.seconds ?? 0,
    tokens: resolved ? resolved.spend.input_tokens + resolved.spend.output_tokens : 0,
    cost: resolved?.spend.cost_usd ?? null,
    failed: failed(call),
    goes: at({ turn: call.turn, call: request.key }),
    child: call.childId,
  };
}


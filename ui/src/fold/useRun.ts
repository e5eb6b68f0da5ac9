import { useEffect, useRef, useState } from "preact/hooks";
import { type Following, useBackend } from "../api/backend";
import { apply, type Run } from "./run";

/** A followed execution. `revision` changes whenever `run` did. */
export interface Followed {
  run: Run | null;
  revision: number;
  state: Following;
  problem: string;
}

const NOTHING: Followed = { run: null, revision: 0, state: "loading", problem: "" };

/** Follow an execution's journal and fold it, for as long as the component is shown. */
export function useRun(executionId: string | null): Followed {
  const backend = useBackend();
  const [shown, setShown] = useState<Followed & { of: string | null }>({ ...NOTHING, of: null });
  const held = useRef<Run | null>(null);
  useEffect(() => {
    held.current = null;
    setShown({ ...NOTHING, of: executionId });
    if (executionId === null) return undefined;
    return backend.follow(executionId, {
      events(batch) {
        for (const [seq, event] of batch) held.current = apply(held.current, seq, event);
        setShown((before) => ({ ...before, run: held.current, revision: before.revision + 1 }));
      },
      state: (state, problem = "") => setShown((before) => ({ ...before, state, problem })),
    });
  }, [executionId, backend]);
  return shown.of === executionId ? shown : NOTHING;
}

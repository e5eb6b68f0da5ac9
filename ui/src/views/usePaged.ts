import { useCallback, useEffect, useState } from "preact/hooks";
import { get, reasonOf } from "../api/client";

interface Listed<T> {
  rows: T[];
  more: boolean;
  loading: boolean;
  problem: string;
  next: () => Promise<void>;
  again: () => void;
}

/** A list that comes in pages by cursor; it begins anew when its path changes. */
export function usePaged<T>(path: string, rowsOf: (page: never) => { rows: T[]; next: string | null }): Listed<T> {
  const [state, setState] = useState({ rows: [] as T[], cursor: null as string | null, loading: true, problem: "", of: "" });
  const [turn, setTurn] = useState(0);
  const load = useCallback(
    async (cursor: string | null, before: T[]): Promise<void> => {
      setState((now) => ({ ...now, loading: true, problem: "" }));
      try {
        const page = rowsOf((await get(path + (cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""))) as never);
        setState({ rows: [...before, ...page.rows], cursor: page.next, loading: false, problem: "", of: path });
      } catch (error) {
        setState((now) => ({ ...now, loading: false, problem: reasonOf(error), of: path }));
      }
    },
    [path],
  );
  useEffect(() => void load(null, []), [load, turn]);
  return {
    rows: state.rows,
    more: state.cursor !== null,
    loading: state.loading,
    problem: state.problem,
    next: () => load(state.cursor, state.rows),
    again: () => setTurn((n) => n + 1),
  };
}

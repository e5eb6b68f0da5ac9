import type { Run } from "../../fold/run";

/** A piece of code and the turn it last ran as. */
export interface Cell {
  id: number;
  code: string;
  turn: number | null;
}

let ids = 0;

export function cell(code = "", turn: number | null = null): Cell {
  return { id: ids++, code, turn };
}

/** The cells a journal has, those that were never run from what this tab kept, and at least one. */
export function cellsOf(run: Run, executionId: string): Cell[] {
  const kept = keptCells(executionId);
  const ran = run.turns.filter((turn) => turn.reply.code !== null && turn.reply.code !== undefined);
  if (kept?.every((one) => one.turn === null || one.turn < run.turns.length)) {
    const known = new Set(kept.map((one) => one.turn));
    const others = ran.filter((turn) => turn.index > Math.max(-1, ...kept.map((one) => one.turn ?? -1)) && !known.has(turn.index));
    return [...kept.map((one) => cell(one.code, one.turn)), ...others.map((turn) => cell(turn.reply.code ?? "", turn.index))];
  }
  const found = ran.map((turn) => cell(turn.reply.code ?? "", turn.index));
  return found.length ? found : [cell(FIRST)];
}

export const FIRST = 'for doc in context:\n    print(doc.doc_index, doc.name, len(doc))';

const keyOf = (executionId: string): string => `rlm-cells-${executionId}`;

export function keepCells(executionId: string, cells: readonly Cell[]): void {
  try {
    sessionStorage.setItem(keyOf(executionId), JSON.stringify(cells.map(({ code, turn }) => ({ code, turn }))));
  } catch {
    // what was run is in the journal all the same
  }
}

function keptCells(executionId: string): { code: string; turn: number | null }[] | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(keyOf(executionId)) ?? "null") as { code: string; turn: number | null }[] | null;
    return kept?.length ? kept : null;
  } catch {
    return null;
  }
}

import { here } from "../app/place";
import { turnFailed } from "../fold/readings";
import type { Run } from "../fold/run";

const SHOWN = 1000;

/** Every turn as a small square, so that a long run can be jumped about in. */
export function Outline({ run, picked }: { run: Run; revision: number; picked: string | null }) {
  if (run.turns.length < 2) return null;
  return (
    <nav class="outline" aria-label="Outline of turns">
      {run.turns.slice(0, SHOWN).map((turn) => {
        const state = turnFailed(turn) ? "failed" : turn.step?.final ? "final" : turn.asked.length ? "asked" : "";
        return (
          <a
            key={turn.index}
            href={here({ turn: turn.index, tab: null })}
            class={`outline-turn ${state && `outline-${state}`}`}
            aria-current={picked === String(turn.index) ? "true" : undefined}
            aria-label={`Turn ${turn.index + 1}${state ? `, ${state}` : ""}`}
          >
            {turn.index + 1}
          </a>
        );
      })}
    </nav>
  );
}

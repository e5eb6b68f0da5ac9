import { useMemo } from "preact/hooks";
import { go, here } from "../app/place";
import { type Stretch, stretchesOf } from "../fold/readings";
import type { Run } from "../fold/run";
import { seconds } from "../text/amounts";

const WIDTH = 1000;
const LANES = ["root", "step", "calls"] as const;
const LANE_PX = 9;
const MOST = 600;
const BINS = 200;

/** Where the time went: root replies, steps, sub-calls, side by side. A click goes to the turn. */
export function TimeStrip({ run, revision, now }: { run: Run; revision: number; now: number }) {
  const all = useMemo(() => stretchesOf(run, now), [run, revision, now]);
  if (!all.length) return null;
  const begin = Math.min(run.startedAt, ...all.slice(0, 1).map((one) => one.begin));
  const end = Math.max(run.finished ? run.lastAt : now, begin + 0.001);
  const x = (at: number): number => ((at - begin) / (end - begin)) * WIDTH;
  const shown = all.length > MOST ? thinned(all, x) : all;
  return (
    <figure class="time-strip">
      <svg viewBox={`0 0 ${WIDTH} ${LANE_PX * LANES.length}`} preserveAspectRatio="none" role="img" aria-label={words(all)}>
        {shown.map((one, index) => (
          <rect
            key={index}
            class={`time time-${one.kind}${one.failed ? " time-failed" : ""}${one.running ? " time-running" : ""}`}
            x={x(one.begin)}
            y={laneOf(one) * LANE_PX + 1}
            width={Math.max(1.5, x(one.end) - x(one.begin))}
            height={LANE_PX - 2}
            onClick={() => go(here({ turn: one.turn, tab: null, call: one.key || null }), true)}
          >
            <title>
              turn {one.turn + 1}, {one.kind} {one.key}: {seconds(one.end - one.begin)}
            </title>
          </rect>
        ))}
      </svg>
      <figcaption>
        <span class="key key-root">root model</span>
        <span class="key key-step">steps</span>
        <span class="key key-llm">sub-calls</span>
        <span class="time-total">{seconds(end - begin)}</span>
      </figcaption>
    </figure>
  );
}

/** Of stretches that would begin and end in the same places only the first, and those that failed. */
function thinned(all: readonly Stretch[], x: (at: number) => number): Stretch[] {
  const taken = new Set<string>();
  const bin = (at: number): number => Math.floor((x(at) / WIDTH) * BINS);
  return all.filter((one) => {
    const place = `${laneOf(one)}:${one.failed}:${bin(one.begin)}:${bin(one.end)}`;
    if (taken.has(place)) return false;
    taken.add(place);
    return true;
  });
}

function laneOf(one: Stretch): number {
  return one.kind === "root" ? 0 : one.kind === "step" ? 1 : 2;
}

function words(all: readonly Stretch[]): string {
  const total = (kind: (one: Stretch) => boolean): string =>
    seconds(all.filter(kind).reduce((sum, one) => sum + one.end - one.begin, 0));
  return `Time of root replies ${total((one) => one.kind === "root")}, of steps ${total((one) => one.kind === "step")}, of sub-calls ${total((one) => laneOf(one) === 2)}`;
}

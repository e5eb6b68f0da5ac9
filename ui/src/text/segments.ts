import { utf16Indices } from "./codepoints";

/** A range of a document in code points, and what it is marked as. */
export interface Highlight {
  start: number;
  end: number;
  id: string;
}

/** A piece of text that the same highlights cover. */
export interface Segment {
  text: string;
  start: number;
  ids: string[];
}

/** Cut the text of `[base, base + length)` at the edges of every highlight that reaches into it. */
export function segments(text: string, base: number, length: number, highlights: readonly Highlight[]): Segment[] {
  const end = base + length;
  const near = highlights.filter((one) => one.start < end && one.end > base && one.end > one.start);
  const edges = new Set([base, end]);
  for (const one of near) {
    edges.add(Math.max(base, one.start));
    edges.add(Math.min(end, one.end));
  }
  const places = [...edges].sort((a, b) => a - b);
  const units = utf16Indices(text, places.map((place) => place - base));
  const found: Segment[] = [];
  for (let i = 0; i + 1 < places.length; i++) {
    const start = places[i] as number;
    const ids = near.filter((one) => one.start <= start && one.end > start).map((one) => one.id);
    found.push({ text: text.slice(units[i], units[i + 1]), start, ids });
  }
  return found;
}

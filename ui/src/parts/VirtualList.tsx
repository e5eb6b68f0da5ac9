import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks";

interface Props<T> {
  items: readonly T[];
  keyOf: (item: T) => string;
  /** Height of a row that was never shown, in pixels. */
  estimate: number;
  render: (item: T, index: number) => ComponentChildren;
  /** The row to bring into view whenever this changes. */
  focus?: string | null;
  label?: string;
  class?: string;
}

const BEYOND = 600;
const SETTLING_FRAMES = 20;

/** Rows of any height, of which only those near the window exist. It scrolls with whatever it stands in. */
export function VirtualList<T>(props: Props<T>) {
  const { items, keyOf, estimate } = props;
  const holder = useRef<HTMLDivElement>(null);
  const heights = useRef(new Map<string, number>());
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const range = useRef<[number, number]>([0, Math.min(items.length, 12)]);

  const heightOf = (index: number): number => heights.current.get(keyOf(items[index] as T)) ?? estimate;
  const look = (): void => {
    const element = holder.current;
    if (!element) return;
    const top = element.getBoundingClientRect().top;
    const found = visible(items.length, heightOf, -top - BEYOND, window.innerHeight - top + BEYOND);
    if (found[0] === range.current[0] && found[1] === range.current[1]) return;
    range.current = found;
    redraw(0);
  };

  const measure = useRef<ResizeObserver | null>(null);
  if (!measure.current && typeof ResizeObserver !== "undefined")
    measure.current = new ResizeObserver((entries) => {
      let grown = false;
      for (const { target } of entries) {
        const row = target as HTMLElement;
        const height = row.offsetHeight;
        const key = row.dataset.key ?? "";
        if (!row.isConnected || !height || heights.current.get(key) === height) continue;
        heights.current.set(key, height);
        grown = true;
      }
      if (grown) redraw(0);
    });

  useEffect(() => {
    const moved = (): void => look();
    addEventListener("scroll", moved, { capture: true, passive: true });
    addEventListener("resize", moved);
    return () => {
      removeEventListener("scroll", moved, { capture: true });
      removeEventListener("resize", moved);
    };
  });
  useEffect(() => () => measure.current?.disconnect(), []);
  useLayoutEffect(() => {
    look();
    const rows = holder.current?.querySelectorAll<HTMLElement>(":scope > [data-key]") ?? [];
    measure.current?.disconnect();
    for (const row of rows) measure.current?.observe(row);
  });

  const focused = props.focus ?? null;
  const place = focused === null ? -1 : items.findIndex((item) => keyOf(item) === focused);
  useEffect(() => (place < 0 ? undefined : bringIntoView(holder, place, heightOf, focused as string)), [focused, place >= 0]);

  const [from, to] = [Math.min(range.current[0], items.length), Math.min(range.current[1], items.length)];
  return (
    <div ref={holder} class={`virtual ${props.class ?? ""}`} role="list" aria-label={props.label}>
      <div aria-hidden="true" style={{ height: `${sum(0, from, heightOf)}px` }} />
      {items.slice(from, to).map((item, offset) => (
        <div key={keyOf(item)} data-key={keyOf(item)} role="listitem" aria-setsize={items.length} aria-posinset={from + offset + 1}>
          {props.render(item, from + offset)}
        </div>
      ))}
      <div aria-hidden="true" style={{ height: `${sum(to, items.length, heightOf)}px` }} />
    </div>
  );
}

function visible(count: number, heightOf: (i: number) => number, top: number, bottom: number): [number, number] {
  let y = 0;
  let first = 0;
  while (first < count && y + heightOf(first) < top) y += heightOf(first++);
  let last = first;
  while (last < count && y < bottom) y += heightOf(last++);
  return [first, last];
}

function sum(from: number, to: number, heightOf: (i: number) => number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += heightOf(i);
  return total;
}

/** Scroll by estimate until the row exists, then to the row itself. */
function bringIntoView(
  holder: { current: HTMLDivElement | null },
  index: number,
  heightOf: (i: number) => number,
  key: string,
): () => void {
  let frames = 0;
  let handle = 0;
  const step = (): void => {
    const element = holder.current;
    if (!element) return;
    const row = element.querySelector<HTMLElement>(`:scope > [data-key="${CSS.escape(key)}"]`);
    const scroller = scrollerOf(element);
    const top = row?.getBoundingClientRect().top ?? element.getBoundingClientRect().top + sum(0, index, heightOf);
    const { least, most } = clearOf(scroller);
    // a row that is read already stays where it is
    if (frames > 0 || !row || top < least || top > least + 0.6 * (most - least)) scroller.scrollTop += top - least;
    else return;
    if (++frames < (row ? 4 : SETTLING_FRAMES)) handle = requestAnimationFrame(step);
  };
  handle = requestAnimationFrame(step);
  return () => cancelAnimationFrame(handle);
}

/** Between which heights of the window a scroller shows what it is scrolled to. */
function clearOf(scroller: Element): { least: number; most: number } {
  const padding = parseFloat(getComputedStyle(scroller).scrollPaddingTop) || 0;
  if (scroller === document.scrollingElement) return { least: padding, most: window.innerHeight };
  const { top, bottom } = scroller.getBoundingClientRect();
  return { least: top + padding, most: bottom };
}

function scrollerOf(element: HTMLElement): Element {
  for (let at = element.parentElement; at; at = at.parentElement) {
    const { overflowY } = getComputedStyle(at);
    if ((overflowY === "auto" || overflowY === "scroll") && at.scrollHeight > at.clientHeight) return at;
  }
  return document.scrollingElement ?? document.documentElement;
}

import type { ContextItem } from "../api/schema";
import { here } from "../app/place";
import { LongText, RawJson } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { count } from "../text/amounts";

/** CONTEXTS mode: the passages that were found, in the order they were. */
export function Contexts({ items }: { items: readonly ContextItem[] }) {
  if (!items.length) return <p class="hint">No passage was tagged as a context.</p>;
  return (
    <VirtualList
      label="Contexts"
      items={items}
      keyOf={(item) => String(item.sequence_index)}
      estimate={180}
      render={(item) => (
        <article class="context">
          <header class="turn-head">
            <h2>
              <a href={here({ cite: item.sequence_index + 1 })}>
                <span class="mark">{item.sequence_index + 1}</span> {item.source_name}
              </a>
            </h2>
            <span class="tag">{item.tag}</span>
            <span>turn {item.turn_index + 1}</span>
            <span>
              characters {count(item.ref.start_char)} to {count(item.ref.end_char)}
            </span>
          </header>
          <LongText text={item.text} class="reading" />
          <RawJson value={item} />
        </article>
      )}
    />
  );
}

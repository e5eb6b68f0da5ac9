import { oneLine } from "../../text/amounts";

const SHOWN = 200;

/** A JSON value to be opened level by level. */
export function JsonTree({ value, name, open = false }: { value: unknown; name?: string; open?: boolean }) {
  const label = name === undefined ? null : <span class="name">{name}: </span>;
  if (value === null || typeof value !== "object")
    return (
      <div class="tree-json">
        {label}
        {oneLine(JSON.stringify(value) ?? "null", 300)}
      </div>
    );
  const entries: [string, unknown][] = Array.isArray(value) ? value.map((item, index) => [String(index), item]) : Object.entries(value);
  const size = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  return (
    <div class="tree-json">
      <details open={open}>
        <summary>
          {label}
          {size}
        </summary>
        {entries.slice(0, SHOWN).map(([key, inner]) => (
          <JsonTree key={key} name={key} value={inner} />
        ))}
        {entries.length > SHOWN && <p class="hint">and {entries.length - SHOWN} more</p>}
      </details>
    </div>
  );
}

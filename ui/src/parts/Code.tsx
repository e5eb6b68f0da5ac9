import type { JSX } from "preact";
import { useMemo } from "preact/hooks";

/** Python as the root model writes it, with just enough colour to read it fast. */
export function Code({ text, errorLine }: { text: string; errorLine?: number | null }) {
  const lines = useMemo(() => tokens(text), [text]);
  return (
    <pre class="code" tabIndex={0}>
      <code>
        {lines.map((line, index) => (
          <span key={index} class={index + 1 === errorLine ? "line line-error" : "line"}>
            {line}
            {"\n"}
          </span>
        ))}
      </code>
    </pre>
  );
}

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield match case").split(" "),
);
const OURS = new Set(
  ("context state tool answer history llm_query llm_query_batched batch_llm_query llm_batch rlm_query rlm_query_batched " +
    "search FINAL FINAL_VAR SUBMIT SHOW_VARS queue_llm queue_search YIELD").split(" "),
);
const TOKEN =
  /("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|[rRbBfFuU]{0,2}"(?:\\.|[^"\\\n])*"?|[rRbBfFuU]{0,2}'(?:\\.|[^'\\\n])*'?)|(#[^\n]*)|(\b\d[\w.]*)|([A-Za-z_]\w*)|(\n)|([^A-Za-z_\d"'#\n]+|[\s\S])/g;

type Piece = JSX.Element | string;

function tokens(text: string): Piece[][] {
  const lines: Piece[][] = [[]];
  const add = (piece: string, kind: string): void => {
    piece.split("\n").forEach((part, index) => {
      if (index) lines.push([]);
      if (part) lines[lines.length - 1]?.push(kind ? <span class={`py-${kind}`}>{part}</span> : part);
    });
  };
  for (const [whole, string, comment, number, name] of text.matchAll(TOKEN)) {
    if (string) add(whole, "string");
    else if (comment) add(whole, "comment");
    else if (number) add(whole, "number");
    else if (name) add(whole, KEYWORDS.has(name) ? "keyword" : OURS.has(name) ? "ours" : "");
    else add(whole, "");
  }
  return lines;
}

import { here } from "../app/place";
import type { Citation } from "../api/schema";
import { oneLine } from "../text/amounts";
import { type Check, checkWords } from "./useChecks";

interface Props {
  citations: readonly Citation[];
  checks: ReadonlyMap<number, Check>;
  picked: number | null;
}

const SUPPORT = {
  quoted: "the answer repeats its words",
  evidence: "a model was shown it",
  read: "a step read it",
} as const;

/** Every citation on one line: number, where it stands, how it supports the answer, whether it holds. */
export function CitationList({ citations, checks, picked }: Props) {
  return (
    <ol class="citation-list">
      {citations.map((citation, index) => {
        const number = index + 1;
        const check = checks.get(number);
        const { mark, words, kind } = checkWords(check);
        const text = check && "text" in check ? (check.text ?? "") : "";
        return (
          <li key={number}>
            <a href={here({ cite: number })} aria-current={picked === number ? "true" : undefined} id={`cite-${number}`}>
              <span class="mark">{number}</span>
              <span class="cite-place">
                {citation.source_name}
                {citation.page ? `, page ${citation.page}` : ""}
              </span>
              <span class="cite-quote">{oneLine(text, 140)}</span>
              <span class={`support support-${citation.support}`} title={SUPPORT[citation.support]}>
                {citation.support}
              </span>
              <span class={`check check-${kind}`} title={words}>
                {mark} <span class={kind === "valid" ? "" : "sr"}>{words}</span>
              </span>
            </a>
          </li>
        );
      })}
    </ol>
  );
}

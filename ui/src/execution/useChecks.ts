import { useEffect, useState } from "preact/hooks";
import { useBackend } from "../api/backend";
import { reasonOf } from "../api/client";
import type { Citation, VerifiedOut } from "../api/schema";

export type Check = VerifiedOut | { problem: string };

const AT_ONCE = 6;
const MOST = 200;

/** Recompute citations, a few at a time, in their order. */
export function useChecks(citations: readonly Citation[], key: string): ReadonlyMap<number, Check> {
  const backend = useBackend();
  const [checks, setChecks] = useState<ReadonlyMap<number, Check>>(new Map());
  useEffect(() => {
    let wanted = true;
    let next = 0;
    const found = new Map<number, Check>();
    const work = async (): Promise<void> => {
      while (wanted && next < Math.min(citations.length, MOST)) {
        const index = next++;
        const citation = citations[index] as Citation;
        const check: Check = await backend.verify(citation.ref).catch((error: unknown) => ({ problem: reasonOf(error) }));
        found.set(index + 1, check);
        if (wanted) setChecks(new Map(found));
      }
    };
    setChecks(found);
    for (let i = 0; i < AT_ONCE; i++) void work();
    return () => {
      wanted = false;
    };
  }, [key, citations.length, backend]);
  return checks;
}

export function checkWords(check: Check | undefined): { mark: string; words: string; kind: string } {
  if (!check) return { mark: "…", words: "not checked yet", kind: "waiting" };
  if ("problem" in check) return { mark: "?", words: `cannot be checked: ${check.problem}`, kind: "unknown" };
  if (check.valid) return { mark: "✓", words: "verified", kind: "valid" };
  return { mark: "✗", words: check.reason ?? "does not hold", kind: "invalid" };
}

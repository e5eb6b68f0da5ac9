import type { SubcallRequest } from "../../api/schema";
import type { Run } from "../../fold/run";

/** Sub-calls that steps queued and nobody has answered yet; of one key the last. */
export function waitingRequests(run: Run): SubcallRequest[] {
  const found = new Map<string, SubcallRequest>();
  for (const turn of run.turns)
    for (const request of turn.asked) if (!request.called && run.toolStatus[request.key] === "pending") found.set(request.key, request);
  return [...found.values()];
}

/** Requests as `tools/resolve` takes them. */
export function asBody(requests: readonly SubcallRequest[]): { llm: object[]; search: object[] } {
  const given = (fields: object): object => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
  return {
    llm: requests
      .filter((one) => one.kind !== "search")
      .map(({ kind, key, prompt, max_tokens, temperature, metadata }) => given({ type: kind, key, prompt, max_tokens, temperature, metadata })),
    search: requests
      .filter((one) => one.kind === "search")
      .map(({ key, prompt, k, filters }) => given({ type: "search", key, query: prompt, k, filters })),
  };
}

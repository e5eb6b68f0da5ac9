import type { Backend, Event, Follower } from "./backend";
import { ApiError, get, post, reasonOf, request } from "./client";
import type { SessionOut, SpanOut, SpanRefView, StructureOut, VerifiedOut } from "./schema";
import { frames } from "./stream";

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 8000;
const GATHERED_MS = 40;

/** The service this page came from. */
export const service: Backend = {
  live: true,
  follow(executionId, follower) {
    const stop = new AbortController();
    void followed(executionId, follower, stop.signal);
    return () => stop.abort();
  },
  documents: async (sessionId) => (await get<SessionOut>(`/v1/sessions/${sessionId}`)).docs,
  structure: (sessionId, docId) => get<StructureOut>(`/v1/sessions/${sessionId}/docs/${docId}/structure`),
  read: async (session_id, doc_id, start_char, end_char) =>
    (await post<SpanOut>("/v1/spans/get", { session_id, doc_id, start_char, end_char })).text,
  bounds: (_, charLength) => [0, charLength],
  verify: (ref) => post<VerifiedOut>("/v1/citations/verify", { ref: bare(ref) }),
};

/** A reference without what was added to it for people. */
export function bare(ref: SpanRefView): SpanRefView {
  const { tenant_id, session_id, doc_id, doc_index, start_char, end_char, checksum } = ref;
  return { tenant_id, session_id, doc_id, doc_index, start_char, end_char, checksum };
}

/** Replay, then follow; after a break go on behind the last event, until the execution has ended. */
async function followed(executionId: string, follower: Follower, signal: AbortSignal): Promise<void> {
  const tape = new Tape(follower, signal);
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const before = tape.last;
      if (await streamed(executionId, tape, signal)) return tape.end("ended");
      // the server ends a stream after an hour; one that brought nothing is not asked again at once
      pause = tape.last > before ? FIRST_PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429)
        return tape.end("failed", reasonOf(error));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
    tape.flush();
    follower.state("reconnecting");
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function streamed(executionId: string, tape: Tape, signal: AbortSignal): Promise<boolean> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (tape.last >= 0) headers["Last-Event-ID"] = String(tape.last);
  const response = await request("GET", `/v1/executions/${executionId}/events`, { headers, signal });
  if (response.status === 204 || !response.body) return true;
  tape.connected();
  for await (const frame of frames(response.body)) {
    const event = JSON.parse(frame.data) as Event;
    tape.add(Number(frame.id), event);
    if (event.type === "Finished") return true;
  }
  return false;
}

/** Events on their way to the screen: those that come close together are shown together. */
class Tape {
  last = -1;
  private waiting: [number, Event][] = [];
  private timer = 0;

  constructor(
    private readonly follower: Follower,
    private readonly signal: AbortSignal,
  ) {}

  add(seq: number, event: Event): void {
    if (seq <= this.last) return;
    this.last = seq;
    this.waiting.push([seq, event]);
    this.timer ||= window.setTimeout(() => this.flush(), GATHERED_MS);
  }

  connected(): void {
    if (!this.signal.aborted) this.follower.state("live");
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = 0;
    const batch = this.waiting;
    this.waiting = [];
    if (batch.length && !this.signal.aborted) this.follower.events(batch);
  }

  end(state: "ended" | "failed", problem?: string): void {
    this.flush();
    if (!this.signal.aborted) this.follower.state(state, problem);
  }
}

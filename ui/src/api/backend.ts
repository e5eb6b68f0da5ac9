import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { DocumentView, EventView, SpanRefView, StructureOut, VerifiedOut } from "./schema";

export type Event = EventView["data"];

/** How following an execution stands. */
export type Following = "loading" | "live" | "reconnecting" | "ended" | "failed";

export interface Follower {
  events(batch: readonly (readonly [number, Event])[]): void;
  state(state: Following, problem?: string): void;
}

/** Where views get what they show: the service, or a report's own data. */
export interface Backend {
  /** Whether anything can be asked, stopped or changed. */
  live: boolean;
  follow(executionId: string, follower: Follower): () => void;
  documents(sessionId: string): Promise<DocumentView[]>;
  structure(sessionId: string, docId: string): Promise<StructureOut>;
  read(sessionId: string, docId: string, start: number, end: number): Promise<string>;
  /** The part of a text around a place that can be read, in code points; null if there is none. */
  bounds(docId: string, charLength: number, at: number): readonly [number, number] | null;
  verify(ref: SpanRefView): Promise<VerifiedOut>;
}

const Context = createContext<Backend | null>(null);
export const BackendProvider = Context.Provider;

export function useBackend(): Backend {
  const backend = useContext(Context);
  if (!backend) throw new Error("no backend");
  return backend;
}

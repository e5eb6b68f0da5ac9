import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { WhoAmI } from "../api/schema";

const Context = createContext<WhoAmI | null>(null);
export const WhoProvider = Context.Provider;

/** Whose key this browser is signed in with. */
export function useWho(): WhoAmI {
  const who = useContext(Context);
  if (!who) throw new Error("nobody is signed in");
  return who;
}

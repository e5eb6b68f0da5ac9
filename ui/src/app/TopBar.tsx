import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api/client";
import type { ExecutionPage } from "../api/schema";
import { useKeys } from "./keys";
import { usePlace } from "./place";
import { ThemeSwitch } from "./ThemeSwitch";
import { useWho } from "./who";

const VIEWS = [
  ["/", "Ask"],
  ["/sessions", "Sessions"],
  ["/executions", "Executions"],
  ["/citations", "Citation"],
  ["/debug", "Debug"],
] as const;
const POLL_MS = 15_000;

export function TopBar({ signOut }: { signOut: () => Promise<void> }) {
  const { path } = usePlace();
  const who = useWho();
  const running = useRunning(path);
  const help = useRef<HTMLDialogElement>(null);
  useKeys({ "?": () => help.current?.showModal() });
  return (
    <header class="bar">
      <a class="brand" href="/">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M5 8h22M5 16h22M5 24h11" />
          <path class="brand-cited" d="M19 24h8" />
        </svg>
        RLM-RS
      </a>
      <nav class="views" aria-label="Views">
        {VIEWS.map(([address, label]) => (
          <a key={address} href={address} aria-current={isAt(path, address) ? "page" : undefined}>
            {label}
            {address === "/executions" && running > 0 && (
              <span class="count" aria-label={`${running} running`}>
                {running}
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="bar-end">
        <span class="tenant" title={`key ${who.key_name}`}>
          {who.tenant_id}
        </span>
        <ThemeSwitch />
        <button type="button" class="quiet" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => help.current?.showModal()}>
          ?
        </button>
        <button type="button" class="quiet" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
      <dialog ref={help} class="shortcuts" aria-labelledby="shortcuts-title">
        <h2 id="shortcuts-title">Keys</h2>
        <dl>
          <Key keys="n p" does="next, previous citation" />
          <Key keys="j k" does="next, previous turn" />
          <Key keys="f" does="follow a running execution, or not" />
          <Key keys="Ctrl Enter" does="ask; in a cell, run it" />
          <Key keys="Shift Enter" does="in a cell, run it and go to the next" />
          <Key keys="?" does="this list" />
        </dl>
        <form method="dialog">
          <button>Close</button>
        </form>
      </dialog>
    </header>
  );
}

function Key({ keys, does }: { keys: string; does: string }) {
  return (
    <div>
      <dt>
        {keys.split(" ").map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{does}</dd>
    </div>
  );
}

function isAt(path: string, address: string): boolean {
  return address === "/" ? path === "/" || path === "/ask" : path.startsWith(address);
}

/** How many executions run, looked up now and then. */
function useRunning(path: string): number {
  const [running, setRunning] = useState(0);
  useEffect(() => {
    let wanted = true;
    const look = (): void => {
      if (document.hidden) return;
      get<ExecutionPage>("/v1/executions?status=RUNNING&limit=100").then(
        (page) => wanted && setRunning(page.executions.filter((row) => !row.parent_id).length),
        () => undefined,
      );
    };
    look();
    const timer = setInterval(look, POLL_MS);
    addEventListener("executionended", look);
    return () => {
      wanted = false;
      clearInterval(timer);
      removeEventListener("executionended", look);
    };
  }, [path]);
  return running;
}

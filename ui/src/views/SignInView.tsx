import { useEffect, useState } from "preact/hooks";
import { post, reasonOf } from "../api/client";
import type { WhoAmI } from "../api/schema";
import { Notice } from "../parts/small";

/** Signing in: by the link that `rlm serve` printed, whose secret stands after `#`, or by pasting a key. */
export function SignInView({ done }: { done: (who: WhoAmI) => void }) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const signIn = async (body: { token?: string; key?: string }): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      done(await post<WhoAmI>("/sign-in", body));
    } catch (error) {
      setProblem(reasonOf(error));
    }
    setBusy(false);
  };
  useEffect(() => {
    const token = location.pathname === "/sign-in" ? location.hash.slice(1) : "";
    if (!token) return;
    // it is worth nothing once used, and has no business in the history
    history.replaceState(null, "", location.pathname + location.search);
    void signIn({ token });
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    void signIn({ key: key.trim() });
  };
  return (
    <main class="sign-in">
      <svg class="sign-in-mark" viewBox="0 0 32 32" aria-hidden="true">
        <path d="M5 8h22M5 16h22M5 24h11" />
        <path class="brand-cited" d="M19 24h8" />
      </svg>
      <h1>RLM-RS</h1>
      <p>
        Open the link that <code>rlm serve</code> printed, or paste a key. The browser keeps a cookie for twelve hours; the key itself is not
        stored.
      </p>
      {problem && <Notice>{problem}</Notice>}
      <form onSubmit={submit}>
        <label for="key">Key</label>
        <input
          id="key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="rlm_key_…"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button class="primary" disabled={busy || !key.trim()}>
          Sign in
        </button>
      </form>
      <p class="hint">
        <code>rlm serve</code> keeps its first key in <code>local.key</code> of the data directory; <code>rlm keys create</code> makes others.
      </p>
    </main>
  );
}

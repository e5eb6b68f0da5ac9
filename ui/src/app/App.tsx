import { useEffect, useState } from "preact/hooks";
import { BackendProvider } from "../api/backend";
import { ApiError, get, heard, post, reasonOf } from "../api/client";
import type { WhoAmI } from "../api/schema";
import { service } from "../api/service";
import { Notice } from "../parts/small";
import { SignInView } from "../views/SignInView";
import { go, place, usePlace } from "./place";
import { Routes } from "./Routes";
import { TopBar } from "./TopBar";
import { WhoProvider } from "./who";

type Standing = { who: WhoAmI } | "unknown" | "signed out" | { problem: string };

/** The page: who is signed in, the bar, and the view that the address names. */
export function App() {
  const { path } = usePlace();
  const [standing, setStanding] = useState<Standing>("unknown");
  const look = (): void => {
    get<WhoAmI>("/v1/whoami").then(
      (who) => setStanding({ who }),
      (error: unknown) => setStanding(error instanceof ApiError && error.status === 401 ? "signed out" : { problem: reasonOf(error) }),
    );
  };
  useEffect(() => {
    const out = (): void => setStanding("signed out");
    heard.signedOut.add(out);
    // a link's secret is exchanged before anything else is asked
    if (path !== "/sign-in") look();
    return () => void heard.signedOut.delete(out);
  }, []);
  const signedIn = (who: WhoAmI): void => {
    setStanding({ who });
    if (place().path === "/sign-in") go(afterSignIn(), true);
  };
  const signOut = async (): Promise<void> => {
    await post("/sign-out");
    setStanding("signed out");
  };
  if (standing === "signed out" || (path === "/sign-in" && standing === "unknown")) return <SignInView done={signedIn} />;
  if (standing === "unknown") return <p class="hint page">Loading…</p>;
  if ("problem" in standing)
    return (
      <main class="page">
        <Notice>{standing.problem}</Notice>
        <button type="button" onClick={look}>
          Try again
        </button>
      </main>
    );
  return (
    <WhoProvider value={standing.who}>
      <BackendProvider value={service}>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <TopBar signOut={signOut} />
        <Routes />
      </BackendProvider>
    </WhoProvider>
  );
}

/** Where a link was to lead: only ever a path of this page. */
function afterSignIn(): string {
  const next = place().query.get("next") ?? "/";
  return /^\/(?!\/)/.test(next) ? next : "/";
}

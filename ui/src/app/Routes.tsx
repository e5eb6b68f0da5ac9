import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { ExecutionView } from "../execution/ExecutionView";
import { Empty } from "../parts/small";
import { AskView } from "../views/ask/AskView";
import { CitationView } from "../views/CitationView";
import { DebugView } from "../views/DebugView";
import { ExecutionsView } from "../views/ExecutionsView";
import { RuntimeView } from "../views/runtime/RuntimeView";
import { SessionsView } from "../views/SessionsView";
import { SessionView } from "../views/SessionView";
import { usePlace } from "./place";
import { useWho } from "./who";

/** The view that an address names. */
export function Routes() {
  const { path } = usePlace();
  const { traces } = useWho();
  const [, first = "", id = "", inner = ""] = path.split("/");
  const [title, view] = routed(first, decodeURIComponent(id), inner, traces);
  useEffect(() => {
    document.title = `${title} · RLM-RS`;
  }, [title]);
  return (
    <main id="main" class={`view view-${first || "ask"}${id ? "-one" : ""}`} tabIndex={-1}>
      {view}
    </main>
  );
}

function routed(first: string, id: string, inner: string, traces: boolean): [string, JSX.Element] {
  if (first === "" || first === "ask") return ["Ask", <AskView />];
  if (first === "sessions") return id ? ["Session", <SessionView key={id} id={id} />] : ["Sessions", <SessionsView />];
  if (first === "executions" && inner === "runtime") return ["Runtime", <RuntimeView key={id} id={id} />];
  if (first === "executions") return id ? ["Execution", <ExecutionView key={id} id={id} traces={traces} />] : ["Executions", <ExecutionsView />];
  if (first === "citations") return ["Citation", <CitationView />];
  if (first === "debug") return ["Debug", <DebugView />];
  return [
    "Not found",
    <div class="page">
      <Empty title="There is nothing at this address">
        <a href="/">Ask a question</a>
      </Empty>
    </div>,
  ];
}

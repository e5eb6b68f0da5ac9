import { render } from "preact";
import { BackendProvider } from "./api/backend";
import { embedded, type ReportData } from "./api/embedded";
import { followLinks, usePlace } from "./app/place";
import { keptTheme, setTheme } from "./app/theme";
import { ThemeSwitch } from "./app/ThemeSwitch";
import { ExecutionView } from "./execution/ExecutionView";
import "./styles/index.css";

const data = JSON.parse(document.getElementById("report-data")?.textContent ?? "null") as ReportData;
const backend = embedded(data);

function Report() {
  const { path } = usePlace();
  const id = /^\/executions\/([^/]+)/.exec(path)?.[1] ?? data.root;
  return (
    <BackendProvider value={backend}>
      <header class="bar">
        <span class="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d="M5 8h22M5 16h22M5 24h11" />
            <path class="brand-cited" d="M19 24h8" />
          </svg>
          RLM-RS
        </span>
        <span class="tenant">report of {new Date(data.made_at * 1000).toLocaleString()}</span>
        <div class="bar-end">
          {id !== data.root && <a href={`#at=/executions/${data.root}`}>back to the question</a>}
          <ThemeSwitch />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <ExecutionView key={id} id={id} />
      </main>
    </BackendProvider>
  );
}

setTheme(keptTheme());
followLinks();
const root = document.getElementById("app");
if (root) render(<Report />, root);

import { useEffect, useState } from "preact/hooks";

/** Where the reader is: a path and what is picked there. In a report, which is one file, both stand after `#`. */
export interface Place {
  path: string;
  query: URLSearchParams;
}

type Changes = Record<string, string | number | null | undefined>;

const inFile = (): boolean => document.documentElement.dataset.report !== undefined;
const CHANGED = "placechange";

export function place(): Place {
  if (!inFile()) return { path: location.pathname, query: new URLSearchParams(location.search) };
  const query = new URLSearchParams(location.hash.slice(1));
  return { path: query.get("at") ?? "", query };
}

/** The address of a path with a query. */
export function href(path: string, changes: Changes = {}): string {
  const query = changed(new URLSearchParams(), inFile() ? { at: path, ...changes } : changes);
  return inFile() ? `#${query}` : path + (query.size ? `?${query}` : "");
}

/** The address of this place with some of its query changed; null takes a name out. */
export function here(changes: Changes): string {
  const { path, query } = place();
  changed(query, changes);
  if (inFile()) return `#${query}`;
  return path + (query.size ? `?${query}` : "");
}

export function go(address: string, replace = false): void {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new Event(CHANGED));
}

export function usePlace(): Place {
  const [, turn] = useState(0);
  useEffect(() => {
    const moved = (): void => turn((n) => n + 1);
    for (const name of [CHANGED, "popstate", "hashchange"]) addEventListener(name, moved);
    return () => {
      for (const name of [CHANGED, "popstate", "hashchange"]) removeEventListener(name, moved);
    };
  }, []);
  return place();
}

/** Links within the UI move without loading the page again. */
export function followLinks(): void {
  document.addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest?.("a[href]") as HTMLAnchorElement | null;
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    const address = link.getAttribute("href") ?? "";
    if (!(inFile() ? address.startsWith("#") : /^\/(?!v1\/|docs|openapi|health)/.test(address))) return;
    event.preventDefault();
    const elsewhere = !inFile() && new URL(link.href).pathname !== location.pathname;
    go(address);
    if (elsewhere) scrollTo(0, 0);
  });
}

function changed(query: URLSearchParams, changes: Changes): URLSearchParams {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, String(value));
  }
  return query;
}

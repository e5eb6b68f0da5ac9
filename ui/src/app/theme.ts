export type Theme = "auto" | "light" | "dark";

const KEPT_AS = "rlm-theme";

export function keptTheme(): Theme {
  try {
    const kept = localStorage.getItem(KEPT_AS);
    return kept === "light" || kept === "dark" ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** Show in this theme, and remember it; `auto` is what the system prefers. */
export function setTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEPT_AS, theme);
  } catch {
    // a browser that keeps nothing still shows it
  }
}

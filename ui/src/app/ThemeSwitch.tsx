import { useState } from "preact/hooks";
import { keptTheme, setTheme, type Theme } from "./theme";

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export function ThemeSwitch() {
  const [theme, pick] = useState<Theme>(keptTheme());
  const change = (): void => {
    setTheme(NEXT[theme]);
    pick(NEXT[theme]);
  };
  return (
    <button type="button" class="quiet" onClick={change} title="Switch between automatic, light and dark">
      <span class="sr">Theme: </span>
      {theme}
    </button>
  );
}

import { render } from "preact";
import { App } from "./app/App";
import { followLinks } from "./app/place";
import { keptTheme, setTheme } from "./app/theme";
import "./styles/index.css";

setTheme(keptTheme());
followLinks();
const root = document.getElementById("app");
if (root) render(<App />, root);

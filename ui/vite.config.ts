import { defineConfig } from "vite";

/** The page and its assets, named by their content; built twice, the files are the same. */
export default defineConfig({
  base: "/",
  build: {
    outDir: "../src/rlm_rs/ui/built",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    // `npm exec vite` beside `rlm serve --port 8080`, while working on the UI
    proxy: { "/v1": "http://127.0.0.1:8080", "/health": "http://127.0.0.1:8080" },
  },
});

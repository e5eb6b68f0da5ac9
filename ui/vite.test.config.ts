import { readdirSync } from "node:fs";
import { defineConfig } from "vite";

/** The tests as plain modules for `node --test`. */
export default defineConfig({
  build: {
    ssr: true,
    outDir: "build/test",
    emptyOutDir: true,
    target: "node20",
    reportCompressedSize: false,
    rollupOptions: { input: readdirSync("test").map((name) => `test/${name}`) },
  },
});

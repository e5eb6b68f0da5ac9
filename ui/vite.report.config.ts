import { defineConfig } from "vite";

/** The report: one script and one style sheet, put into a single HTML file by `rlm_rs.ui.report`. */
export default defineConfig({
  build: {
    outDir: "../src/rlm_rs/ui/built/report",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    reportCompressedSize: false,
    cssCodeSplit: false,
    lib: { entry: "src/report.tsx", formats: ["iife"], name: "report", fileName: () => "report.js", cssFileName: "report" },
  },
});

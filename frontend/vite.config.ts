import { parse, TYPE } from "@formatjs/icu-messageformat-parser";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { compress } from "./build/compress.ts";
import { syntax } from "./build/syntax.ts";

/**
 * Compiles the catalogues of src/i18n to the trees that react-intl takes, so that no parser is shipped. A text without
 * placeholders stays a text (src/i18n/text.ts).
 */
function catalogues(): Plugin {
  return {
    name: "catalogues",
    enforce: "pre",
    transform(code, id) {
      if (!/\/src\/i18n\/[\w.-]+\.json$/.test(id)) return null;
      const texts = JSON.parse(code) as Record<string, string>;
      const trees = Object.entries(texts).map(([key, text]) => {
        const tree = parse(text);
        return [key, tree.every(({ type }) => type === TYPE.literal) ? text : tree];
      });
      return JSON.stringify(Object.fromEntries(trees));
    },
  };
}

const SERVER = process.env.HEARTH_SERVER ?? "http://127.0.0.1:8000";

// The model of the server's tests takes the state machine alone, as a program for Node.js.
export default defineConfig(({ mode, isSsrBuild }) => ({
  plugins: isSsrBuild ? [] : [catalogues(), react(), syntax(), compress()],
  resolve: {
    alias:
      mode === "test"
        ? {}
        : { "@formatjs/icu-messageformat-parser": "@formatjs/icu-messageformat-parser/no-parser.js" },
  },
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    copyPublicDir: !isSsrBuild,
  },
  server: {
    proxy: {
      "/api": { target: SERVER },
      "/ws": { target: SERVER.replace(/^http/, "ws"), ws: true },
    },
  },
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
}));

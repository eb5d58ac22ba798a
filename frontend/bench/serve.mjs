// Builds the bench page and serves it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { build, preview } from "vite";

/** Gives the address of the page, and a function that ends it. */
export async function serve() {
  const root = fileURLToPath(new URL(".", import.meta.url));
  const outDir = await mkdtemp(join(tmpdir(), "hearth-list-"));
  const config = { root, configFile: false, logLevel: "error", plugins: [react()] };
  await build({
    ...config,
    build: {
      outDir,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      rollupOptions: { input: join(root, "list.html") },
    },
  });
  const server = await preview({ ...config, build: { outDir }, preview: { port: 0, host: "127.0.0.1" } });
  const url = new URL("list.html", server.resolvedUrls?.local[0]).href;
  return {
    url,
    close: async () => {
      await server.close();
      await rm(outDir, { recursive: true });
    },
  };
}

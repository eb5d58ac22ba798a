import { defineConfig } from "@playwright/test";
import { executablePath } from "./e2e/support/chromium.mjs";
import { within } from "./e2e/support/patience.ts";

export default defineConfig({
  testDir: "e2e",
  testMatch: process.env.E2E_FILE ?? "*.spec.ts", // screenshots.ts and bench.ts make no test
  // What walks through every view takes minutes: `make soak` runs it.
  ...(process.env.E2E_LONG ? {} : { grepInvert: /@long/ }),
  fullyParallel: false,
  workers: Number(process.env.E2E_WORKERS ?? 2),
  timeout: within(60_000),
  expect: { timeout: within(15_000) },
  forbidOnly: Boolean(process.env.CI),
  reporter: [["list"]],
  outputDir: "node_modules/.e2e",
  use: {
    actionTimeout: within(15_000),
    navigationTimeout: within(30_000),
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    launchOptions: {
      executablePath,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    },
  },
});

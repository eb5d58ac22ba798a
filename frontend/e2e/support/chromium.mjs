// Which browser the tests, the pictures and the benchmarks drive: `CHROMIUM`, or the first that is installed.

import { existsSync } from "node:fs";

/** The first one has no window to draw, and takes a third less time for the suite. */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

const found = NAMES.map((name) => `/usr/bin/${name}`).find((path) => existsSync(path));

export const executablePath = process.env.CHROMIUM ?? found ?? "/usr/bin/chromium";

// Which browser the tests, the pictures and the benchmarks drive: `CHROMIUM`, or the first that is installed.

import { existsSync } from "node:fs";

/** In the order of preference: the headless shell draws no window, so the tests take a third less time in it. */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

const found = NAMES.map((name) => `/usr/bin/${name}`).find((path) => existsSync(path));

export const executablePath = process.env.CHROMIUM ?? found ?? "/usr/bin/chromium";

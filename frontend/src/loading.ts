// Parts of the page that are loaded on first use.

import { lazy } from "react";
import { reconnectDelay } from "./realtime/backoff.ts";

const ATTEMPTS_MAX = 20;

/** What was loaded before it is shown, by the function that loads it. */
const ready = new Map<() => Promise<unknown>, unknown>();

/** A component whose code is loaded when it is first shown. */
export const part: typeof lazy = (load) =>
  lazy(() => atOnce(ready.get(load) as Awaited<ReturnType<typeof load>> | undefined) ?? loaded(load));

/** Loads the code of a part before it is shown. `load`: the very function that the part has. */
export async function preload(load: () => Promise<unknown>): Promise<void> {
  ready.set(load, await loaded(load));
}

/** A thenable that settles synchronously. With a promise, Suspense may show the part up to 300 ms later. */
const atOnce = <Code>(code: Code | undefined): Promise<Code> | undefined =>
  // biome-ignore lint/suspicious/noThenProperty: lazy() reads it in the same call
  code && ({ then: (show: (code: Code) => void) => show(code) } as Promise<Code>);

/**
 * Loads code, and tries again without a connection. When the server has been updated meanwhile, the parts of this client
 * are gone, and the page begins anew with the newer one; what isn't sent is kept.
 */
export async function loaded<Code>(load: () => Promise<Code>): Promise<Code> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await load();
    } catch (error) {
      // A style sheet that failed counts as loaded while its element is there.
      for (const link of document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]"))
        if (!link.sheet) link.remove();
      if (await isOutdated()) location.reload();
      if (attempt >= ATTEMPTS_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, reconnectDelay(attempt)));
    }
  }
}

/** Whether the server's page begins with another script than this one. */
async function isOutdated(): Promise<boolean> {
  const mine = document.querySelector<HTMLScriptElement>("script[type=module][src]")?.getAttribute("src");
  try {
    const answer = await fetch("/", { cache: "no-store" });
    return answer.ok && mine != null && !(await answer.text()).includes(mine);
  } catch {
    return false;
  }
}

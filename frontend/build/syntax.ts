import { parse } from "acorn";
import type { Plugin } from "vite";

/** What Chrome 111, Firefox 115 and Safari 16.4 read. */
const ECMASCRIPT = 2022;

/** Ends the build when a script has syntax that the oldest browsers can't read, whichever package it came from. */
export function syntax(): Plugin {
  return {
    name: "syntax",
    apply: "build",
    generateBundle(_, bundle) {
      for (const [name, part] of Object.entries(bundle)) {
        if (!name.endsWith(".js")) continue;
        const code = part.type === "chunk" ? part.code : String(part.source);
        try {
          parse(code, { ecmaVersion: ECMASCRIPT, sourceType: "module" });
        } catch (error) {
          this.error(`${name} isn't ECMAScript ${ECMASCRIPT}: ${error}`);
        }
      }
    },
  };
}

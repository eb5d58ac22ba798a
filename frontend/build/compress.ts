import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Plugin } from "vite";

const TEXT = /\.(css|html|js|json|svg|txt|webmanifest|xml)$/;
/** A smaller file fits into one packet as it is. */
const BYTES_MIN = 1024;

/** How the names of the compressed files end, which the server knows, too, and what makes them. */
const FORMS: [string, (text: Buffer) => Promise<Buffer>][] = [
  [
    ".br",
    (text) =>
      promisify(brotliCompress)(text, {
        params: {
          [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
          [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
          [constants.BROTLI_PARAM_SIZE_HINT]: text.length,
        },
      }),
  ],
  [".gz", (text) => promisify(gzip)(text, { level: constants.Z_BEST_COMPRESSION })],
];

/** Writes compressed forms beside each text file of the build, so that the server need not compress. */
export function compress(): Plugin {
  return {
    name: "compress",
    apply: "build",
    writeBundle: {
      // Last, when whatever else makes files has made them.
      order: "post",
      sequential: true,
      async handler({ dir }) {
        if (dir === undefined) throw new Error("compress: the build has no directory");
        const names = await readdir(dir, { recursive: true });
        await Promise.all(
          names.filter((name) => TEXT.test(name)).map((name) => compressFile(join(dir, name))),
        );
      },
    },
  };
}

/** What an earlier build has left is removed where this one writes nothing: the server would send it. */
async function compressFile(path: string): Promise<void> {
  const text = await readFile(path);
  for (const [end, form] of FORMS) {
    const compressed = text.length < BYTES_MIN ? text : await form(text);
    if (compressed.length < text.length) await writeFile(path + end, compressed);
    else await rm(path + end, { force: true });
  }
}

// Colours code off the page's thread: takes {text, language}, answers its tokens. "ready" comes first.

import type { Job } from "./highlight.ts";
import { tokenize } from "./tokenize.ts";

addEventListener("message", ({ data }: MessageEvent<Job>) => {
  postMessage(tokenize(data.text, data.language));
});
postMessage("ready");

// `:name:` in what is sent becomes its emoji. The names are loaded once the first one is written.

const NAMED = /:[a-z0-9_+-]+:/i;
const LOAD_MS_MAX = 10_000;

type Spell = (text: string) => string;

let spell: Spell | undefined;

async function load(): Promise<Spell> {
  const { loadSpelling } = await import("./emoji.ts");
  const loaded = await loadSpelling();
  spell = loaded;
  return loaded;
}

/** Loads the names ahead, if this text has any. */
export function loadFor(text: string): void {
  if (!spell && NAMED.test(text)) load().catch(() => {}); // it is tried again
}

/** The text with its emoji; null: their names aren't loaded. */
export function spelledNow(text: string): string | null {
  return NAMED.test(text) ? (spell?.(text) ?? null) : text;
}

/** The text with its emoji, or as it is where their names can't be loaded in time. */
export async function spelled(text: string): Promise<string> {
  const late = new Promise<never>((_, refuse) => setTimeout(refuse, LOAD_MS_MAX));
  try {
    return (await Promise.race([load(), late]))(text);
  } catch {
    return text;
  }
}

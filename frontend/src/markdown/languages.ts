// The languages that code is coloured in, by the names that people write behind the fence.

const NAMES = {
  javascript: "javascript js jsx mjs cjs node",
  typescript: "typescript ts tsx mts cts",
  python: "python py python3",
  rust: "rust rs",
  go: "go golang",
  java: "java",
  c: "c h",
  cpp: "cpp c++ cc cxx hpp",
  csharp: "csharp c# cs",
  bash: "bash sh shell zsh console",
  json: "json jsonc json5",
  yaml: "yaml yml",
  sql: "sql postgres postgresql mysql sqlite",
  xml: "xml html xhtml svg",
  css: "css",
  diff: "diff patch",
} as const;

/** A language that can be coloured. */
export type Language = keyof typeof NAMES;

const BY_NAME = new Map<string, Language>();
for (const [language, names] of Object.entries(NAMES)) {
  for (const name of names.split(" ")) BY_NAME.set(name, language as Language);
}

/** The language that was meant behind a fence, or null. */
export function languageOf(lang: string): Language | null {
  return BY_NAME.get(lang.toLowerCase().replace(/[,{:].*$/, "")) ?? null;
}

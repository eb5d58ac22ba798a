// Code to coloured pieces, by highlight.js. Only the worker runs it: a hostile text may take it long.

import type { Emitter, LanguageFn } from "highlight.js";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import type { Language } from "./languages.ts";

/** A piece of code and how it is coloured; "" is plain. */
export type Token = readonly [text: string, scope: Scope];
export type Scope = "" | "keyword" | "string" | "number" | "title" | "comment" | "added" | "removed";

const TOKENS_MAX = 4_000; // then the rest is plain

const LANGUAGES: Readonly<Record<Language, LanguageFn>> = {
  ...{ bash, c, cpp, csharp, css, diff, go, java },
  ...{ javascript, json, python, rust, sql, typescript, xml, yaml },
};

/** The first words of highlight.js' scopes. What isn't named here looks as what is around it. */
const NAMES: Readonly<Record<Exclude<Scope, "">, string>> = {
  keyword: "keyword built_in literal name doctag selector-tag",
  string: "string regexp char link symbol",
  number: "number variable template-variable attribute attr selector-pseudo selector-attr",
  title: "title type section class selector-class selector-id",
  comment: "comment quote meta",
  added: "addition",
  removed: "deletion",
};
const SCOPES = new Map<string, Scope>();
for (const [scope, names] of Object.entries(NAMES)) {
  for (const name of names.split(" ")) SCOPES.set(name, scope as Scope);
}

/** Takes what highlight.js finds as tokens instead of HTML. */
class TokenEmitter implements Emitter {
  readonly tokens: (readonly [string, Scope])[] = [];
  private readonly open: Scope[] = [];

  addText(text: string): void {
    this.add(text, this.open.at(-1) ?? "");
  }

  startScope(name: string): void {
    this.open.push(SCOPES.get(name.split(".")[0] ?? "") ?? this.open.at(-1) ?? "");
  }

  endScope(): void {
    this.open.pop();
  }

  // highlight.js 11 still calls these two by their old names.
  openNode(name: string): void {
    this.startScope(name);
  }

  closeNode(): void {
    this.endScope();
  }

  __addSublanguage(inner: Emitter): void {
    if (inner instanceof TokenEmitter) for (const [text, scope] of inner.tokens) this.add(text, scope);
  }

  finalize(): void {}

  toHTML(): string {
    return "";
  }

  private add(text: string, scope: Scope): void {
    if (text === "") return;
    const last = this.tokens.at(-1);
    const isFull = this.tokens.length >= TOKENS_MAX;
    if (last && (last[1] === scope || isFull))
      this.tokens[this.tokens.length - 1] = [last[0] + text, last[1]];
    else this.tokens.push([text, this.tokens.length === TOKENS_MAX - 1 ? "" : scope]);
  }
}

hljs.configure({ __emitter: TokenEmitter });
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

/** The code in pieces: put together, they are the code again. */
export function tokenize(text: string, language: Language): readonly Token[] {
  const { _emitter } = hljs.highlight(text, { language, ignoreIllegals: true });
  const tokens = _emitter instanceof TokenEmitter ? _emitter.tokens : [];
  // After a fault of its own, highlight.js answers what it has so far.
  const isWhole = tokens.reduce((length, [piece]) => length + piece.length, 0) === text.length;
  return isWhole ? tokens : [[text, ""]];
}

// @vitest-environment jsdom

import { expect, test } from "vitest";
import { parse } from "../markdown/parse.ts";
import { textOf } from "../markdown/tree.ts";
import type { Engine } from "../session/engine.ts";
import { knownChoices } from "./choices.ts";

const ME = { id: 1, username: "me" };

/** Somebody who sees these people and rooms. */
function engineOf(names: string[], rooms: string[] = []): Engine {
  const users = names.map((full_name, index) => ({
    user: { id: index + 2, username: `user${index}`, full_name },
  }));
  const infos = rooms.map((name, id) => [id, { id, info: { name, kind: "public" } }] as const);
  return { me: ME, client: { members: () => users, rooms: new Map(infos) } } as unknown as Engine;
}

test("people are found by any word of their names, as the server finds them", () => {
  const engine = engineOf(["Zoë O’Brien-Müller", "Fox (she/her)", "Łukasz Žižek"]);
  const found = (word: string) =>
    knownChoices(engine, 1, { sign: "@", word, start: 0 }).map(({ label }) => label.split(" ")[0]);
  for (const word of ["zo", "o", "bri", "mul", "MÜLLER", "brien-mul"])
    expect(found(word), word).toEqual(["Zoë"]);
  for (const word of ["fo", "she", "her"]) expect(found(word), word).toEqual(["Fox"]);
  for (const word of ["luk", "ziz"]) expect(found(word), word).toEqual(["Łukasz"]);
  for (const word of ["ller", "obr"]) expect(found(word), word).toEqual([]);
  expect(found("user1")).toEqual(["Fox"]);
  expect(found("")).toHaveLength(3);
});

test("the link to a room shows its name, whatever signs are in it", () => {
  const names = [
    "w]b*c_d`e",
    "w(x",
    "w[y",
    "w\\z",
    "w*bold*",
    "w`q`",
    "w_i_",
    "_w_",
    "snake_case_w",
    "~~w~~",
    "[w](x)",
  ];
  const engine = engineOf([], names);
  for (const name of names) {
    const choice = knownChoices(engine, 1, { sign: "#", word: name, start: 0 })[0];
    const [block] = parse(choice?.text ?? "", { names: new Map(), origin: location.origin });
    const inlines = block?.type === "paragraph" ? block.children : [];
    expect(
      inlines.map(({ type }) => type),
      name,
    ).toEqual(["link"]);
    expect(textOf(inlines), name).toBe(`#${name}`);
  }
  expect(knownChoices(engine, 1, { sign: "#", word: "snake", start: 0 })[0]?.text).toMatch(
    /^\[#snake_case_w\]/,
  );
});

// @vitest-environment jsdom

import { render } from "@testing-library/react";
import { IntlProvider } from "react-intl";
import { expect, test } from "vitest";
import en from "../i18n/en.json";
import { Markdown } from "../markdown/Markdown.tsx";
import { textIn } from "./copy.ts";

function copied(source: string): string {
  const { container } = render(
    <IntlProvider locale="en" messages={en}>
      <Markdown source={source} names={new Map()} onMention={() => {}} onRoom={() => {}} fold />
    </IntlProvider>,
  );
  const range = document.createRange();
  range.selectNodeContents(container);
  return textIn(container, range);
}

test("a message is copied with its lines, and without what belongs to the page", () => {
  for (const source of [
    "a\nb",
    "a\n\nb",
    "- a\n- b\n  - c\n  - d",
    "7. a\n8. b\n   c\n10. d",
    "> a\n> \n> b",
    "a\n\n---\n\n- b",
  ])
    expect(copied(source), source).toBe(source);
  expect(copied("```js\n  let a;\n\nlet b;\n```\nc")).toBe("  let a;\n\nlet b;\n\nc");
  expect(copied("|a|b|\n|-|-|\n|1|2|")).toBe("a\tb\n1\t2");
  expect(copied("**a** `b` [c](https://d.example)\n- [x] e")).toBe("a b c\n\n☑ e");
  expect(copied("long ".repeat(600))).toMatch(/^(long )*long *$/);
});

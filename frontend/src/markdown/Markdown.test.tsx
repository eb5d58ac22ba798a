// @vitest-environment jsdom

import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { renderToStaticMarkup } from "react-dom/server";
import { IntlProvider } from "react-intl";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import en from "../i18n/en.json";
import { isLong, Markdown, type MarkdownProps } from "./Markdown.tsx";
import type { Names } from "./parse.ts";

const names: Names = new Map([
  ["ada", { userId: 1, me: true }],
  ["bob", { userId: 2, me: false }],
  ["דנה", { userId: 3, me: false }],
  ["all", { userId: null, me: true }],
]);
const onMention = vi.fn();
const onRoom = vi.fn();

function view(source: string, more: Partial<MarkdownProps> = {}) {
  return (
    <IntlProvider locale="en" messages={en}>
      <Markdown source={source} names={names} onMention={onMention} onRoom={onRoom} {...more} />
    </IntlProvider>
  );
}
const html = (source: string, more: Partial<MarkdownProps> = {}) => renderToStaticMarkup(view(source, more));

beforeEach(() => {
  onMention.mockClear();
  onRoom.mockClear();
});
afterEach(cleanup);

test("elements of Markdown", () => {
  for (const [source, expected] of [
    ["a\nb", '<p dir="auto">a\nb</p>'],
    ["*a* **b** ~~c~~", '<p dir="auto"><em>a</em> <strong>b</strong> <s>c</s></p>'],
    ["`c`", '<p dir="auto"><bdi><code>c</code></bdi></p>'],
    ["# a", '<p dir="auto" class="md-heading">a</p>'],
    ["> a", '<blockquote dir="auto"><p>a</p></blockquote>'],
    ["- a\n- [x] b", '<ul><li dir="auto"><p>a</p></li><li dir="auto" class="md-task"><p>☑ b</p></li></ul>'],
    [
      "3. a\n5. b",
      '<ol style="--marker:2.5ch"><li dir="auto" value="3"><p>a</p></li><li dir="auto" value="5"><p>b</p></li></ol>',
    ],
    [
      "a|b\n-|-:\n1|2",
      '<div class="md-table" tabindex="0"><table><thead><tr><th dir="auto">a</th><th dir="auto" class="md-end">b</th></tr></thead><tbody><tr><td dir="auto">1</td><td dir="auto" class="md-end">2</td></tr></tbody></table></div>',
    ],
    ["a\n\n---", '<p dir="auto">a</p><hr/>'],
    ["@Ada", '<p dir="auto"><bdi><button type="button" class="mention mention--me">@Ada</button></bdi></p>'],
    ["@bob", '<p dir="auto"><bdi><button type="button" class="mention">@bob</button></bdi></p>'],
    [
      "https://a.example",
      '<p dir="auto"><a href="https://a.example/" rel="noopener noreferrer nofollow ugc" target="_blank" dir="auto">https://a.example</a></p>',
    ],
    [
      "[b.example](https://a.example)",
      '<p dir="auto"><span><a href="https://a.example/" rel="noopener noreferrer nofollow ugc" target="_blank" dir="auto">b.example</a> <bdi class="md-host">(a.example)</bdi></span></p>',
    ],
  ]) {
    expect(html(source ?? ""), source).toBe(`<div class="md">${expected}</div>`);
  }
  expect(html("👍", { isLarge: true })).toBe('<div class="md md--large"><p dir="auto">👍</p></div>');
});

const ATTACKS = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<iframe src=javascript:alert(1)>",
  "<a href=javascript:alert(1)>x</a>",
  "<body onload=alert(1)>",
  "<style>*{display:none}</style>",
  "<link rel=stylesheet href=https://evil.example/>",
  "<meta http-equiv=refresh content=0>",
  "<base href=https://evil.example/>",
  "<form action=https://evil.example/><input></form>",
  "<math><mtext></mtext></math>",
  "<div\n\nonclick=alert(1)>x</div>",
  "<!--><script>alert(1)</script>-->",
  "<![CDATA[<script>alert(1)</script>]]>",
  "<?php echo 1 ?>",
  "<details open ontoggle=alert(1)>",
  "[x](javascript:alert(1))",
  "[x](JAVASCRIPT:alert(1))",
  "[x](java\tscript:alert(1))",
  "[x](java\nscript:alert(1))",
  "[x](\u0000javascript:alert(1))",
  "[x](\u001fjavascript:alert(1))",
  "[x](javascript&colon;alert(1))",
  "[x](javascript&#58;alert(1))",
  "[x](&#x6A;avascript:alert(1))",
  "[x](javascript%3Aalert(1))",
  "[x](<javascript:alert(1)>)",
  "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "[x](vbscript:msgbox(1))",
  "[x](view-source:https://a.example)",
  '[x](https://a.example/"onmouseover="alert(1))',
  '[x](https://a.example "t\\" onmouseover=alert(1) x=")',
  "[x](https://a.example '\"><script>alert(1)</script>')",
  '["><img src=x onerror=alert(1)>](https://a.example)',
  "![x](javascript:alert(1))",
  '![x](https://a.example/x.png"onerror=alert(1))',
  '![" onerror="alert(1)](https://a.example)',
  "<javascript:alert(1)>",
  '<https://a.example/"><script>alert(1)</script>>',
  'https://a.example/"><script>alert(1)</script>',
  "https://a.example/'onclick='alert(1)",
  "[x]: javascript:alert(1)\n\n[x]",
  "[x][y]\n\n[y]: data:text/html,x",
  "`<script>alert(1)</script>`",
  "```html\n<script>alert(1)</script>\n```",
  '```"><script>alert(1)</script>\nx\n```',
  "@ada<script>alert(1)</script>",
  "[@ada](javascript:alert(1))",
  "[a](https://a.example)[b](https://b.example)<script>",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "\\<script>alert(1)\\</script>",
  "{{constructor.constructor('alert(1)')()}}",
  "$" + "{alert(1)}",
];
const ELEMENTS = new Set(
  "DIV P EM STRONG S A BDI CODE PRE SPAN BUTTON UL OL LI BLOCKQUOTE HR TABLE THEAD TBODY TR TH TD SVG PATH RECT".split(
    " ",
  ),
);
const ATTRIBUTES = new Set(
  "class dir href rel target title type tabindex aria-hidden aria-live style value xmlns width height viewBox fill stroke stroke-width stroke-linecap stroke-linejoin d x y rx ry".split(
    " ",
  ),
);

test("no text makes an element or an attribute of its own", { timeout: 60_000 }, () => {
  expect(ATTACKS.length).toBeGreaterThanOrEqual(40);
  for (const source of ATTACKS) {
    for (const text of [
      source,
      `> ${source}`,
      `- **${source}**`,
      `# ${source}`,
      `| ${source} | b |\n|:-:|---|\n| ${source} |`,
      `[${source}](https://a.example)`,
    ]) {
      const page = new DOMParser().parseFromString(html(text), "text/html");
      for (const element of page.body.querySelectorAll("*")) {
        expect(ELEMENTS.has(element.tagName.toUpperCase()), `${text}: ${element.tagName}`).toBe(true);
        for (const { name, value } of element.attributes) {
          expect(ATTRIBUTES.has(name), `${text}: ${name}`).toBe(true);
          if (name === "href") expect(value, text).toMatch(/^(https?:\/\/|mailto:)/);
          if (name === "style") expect(value, text).toMatch(/^--marker:[\d.]+ch$/);
        }
      }
    }
  }
});

test("a mention is a button that says whom it means", () => {
  render(view("@ada @bob @all"));
  for (const name of ["@ada", "@bob", "@all"]) fireEvent.click(screen.getByRole("button", { name }));
  expect(onMention.mock.calls).toEqual([[1], [2], [null]]);
});

test("an address of one of this server's rooms doesn't leave the page", () => {
  render(view(`${location.origin}/room/12 [there](${location.origin}/room/12/345) https://a.example/room/1`));
  const [room, message, other] = screen.getAllByRole("link");
  if (!room || !message || !other) throw new Error("three links");
  expect(fireEvent.click(room)).toBe(false); // the browser's own way is prevented
  expect(fireEvent.click(message)).toBe(false);
  expect(fireEvent.click(message, { ctrlKey: true })).toBe(true); // into another tab
  expect(onRoom.mock.calls).toEqual([
    [12, undefined],
    [12, 345],
  ]);
  expect(room.getAttribute("target")).toBe(null);
  expect(other.getAttribute("target")).toBe("_blank");
  fireEvent.click(other);
  expect(onRoom).toHaveBeenCalledTimes(2);
});

test("long texts fold, and what the keyboard reaches is shown", () => {
  const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`).join("\n");
  expect([lines(25), lines(26), "x".repeat(2_500), "x".repeat(2_501)].map(isLong)).toEqual([
    false,
    true,
    false,
    true,
  ]);
  render(view(`${lines(26)} @bob`, { fold: true }));
  const button = screen.getByRole("button", { name: "Show all" });
  const body = document.getElementById(button.getAttribute("aria-controls") ?? "");
  expect(button.getAttribute("aria-expanded")).toBe("false");
  expect(body?.className).toBe("md md--folded");
  fireEvent.click(button);
  expect(button.textContent).toBe("Show less");
  expect(button.getAttribute("aria-expanded")).toBe("true");
  expect(body?.className).toBe("md");
  fireEvent.click(button);
  expect(body?.className).toBe("md md--folded");
  const mention = screen.getByRole("button", { name: "@bob" });
  mention.getBoundingClientRect = () => new DOMRect(0, 900, 10, 10); // below what is shown
  fireEvent.focus(mention);
  expect(body?.className).toBe("md");
  cleanup();
  render(view(lines(26)));
  expect(screen.queryByRole("button")).toBe(null);
  cleanup();
  render(view("short", { fold: true }));
  expect(screen.queryByRole("button")).toBe(null);
});

test("directions: outermost blocks and items have their own, what is foreign in a line is isolated", () => {
  // A Hebrew name at the head of an English line: it is within a bdi, which `dir="auto"` passes over.
  expect(html("@דנה hello")).toBe(
    '<div class="md"><p dir="auto"><bdi><button type="button" class="mention">@דנה</button></bdi> hello</p></div>',
  );
  expect(html("`שלום` hello")).toContain('<p dir="auto"><bdi><code>שלום</code></bdi> hello</p>');
  const mixed = new DOMParser().parseFromString(
    html("שלום\n\n> שלום\n\n- hello\n- > שלום\n\n# שלום"),
    "text/html",
  );
  for (const block of mixed.querySelectorAll(".md > p, .md > blockquote, li")) {
    expect(block.getAttribute("dir"), block.tagName).toBe("auto");
    // A `dir` within would hide the text from the quotation's or item's own `dir="auto"`.
    for (const inner of block.querySelectorAll("p, blockquote")) expect(inner.getAttribute("dir")).toBe(null);
  }
  // What isn't closed ends with the element: nothing but blocks stands side by side in a message.
  const page = new DOMParser().parseFromString(
    html("\u202e\u2067\u2066evil [x\u202e.example](https://a.example)"),
    "text/html",
  );
  expect([...page.querySelectorAll(".md > *")].map(({ tagName }) => tagName)).toEqual(["P"]);
  expect(page.querySelector("a")?.getAttribute("dir")).toBe("auto");
  expect(page.querySelector(".md-host")?.tagName).toBe("BDI");
});

test("code has its language and can be copied, with and without the clipboard", async () => {
  const copied: string[] = [];
  render(view("```rust\nfn main() {}\n```"));
  expect(screen.getByText("rust")).toBeTruthy();
  expect(document.querySelector("pre")?.textContent).toBe("fn main() {}");
  const button = screen.getByRole("button", { name: "Copy" });
  Object.defineProperty(navigator, "clipboard", {
    configurable: true,
    value: { writeText: async (text: string) => copied.push(text) },
  });
  fireEvent.click(button);
  await screen.findByText("Copied");
  Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined });
  document.execCommand = () => {
    copied.push(document.querySelector("textarea")?.value ?? "");
    return copied.length < 3;
  };
  fireEvent.click(button);
  await vi.waitFor(() => expect(copied).toEqual(["fn main() {}", "fn main() {}"]));
  fireEvent.click(button);
  await screen.findByText("Not copied");
  expect(document.querySelector("textarea")).toBe(null);
});

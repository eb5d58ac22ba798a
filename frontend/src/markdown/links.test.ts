import { expect, test } from "vitest";
import { hostBehind, hrefOf, placeOf } from "./links.ts";
import { parse } from "./parse.ts";
import type { Block, Inline } from "./tree.ts";

const ORIGIN = "https://chat.example.org";

/** The links of a text, as [text, address] or [text, address, real host]. */
function links(source: string): string[][] {
  const found: string[][] = [];
  const look = (nodes: readonly (Block | Inline)[]) => {
    for (const node of nodes) {
      if (node.type === "link") {
        const text = node.children.map((child) => ("text" in child ? child.text : "…")).join("");
        found.push([text, node.href, ...(node.host ? [node.host] : [])]);
      } else if ("children" in node) look(node.children);
      else if (node.type === "quote") look(node.blocks);
      else if (node.type === "list") for (const { blocks } of node.items) look(blocks);
    }
  };
  look(parse(source, { names: new Map(), origin: ORIGIN }));
  return found;
}

const plain = (address: string, href = address) => [[address, href]];

test("addresses end where people mean it", () => {
  for (const [source, expected] of [
    ["https://en.wikipedia.org/wiki/Foo_(bar)", plain("https://en.wikipedia.org/wiki/Foo_(bar)")],
    ["see https://en.wikipedia.org/wiki/Foo_(bar).", plain("https://en.wikipedia.org/wiki/Foo_(bar)")],
    ["(https://en.wikipedia.org/wiki/Foo_(bar))", plain("https://en.wikipedia.org/wiki/Foo_(bar)")],
    ["(https://a.example/)", plain("https://a.example/")],
    ["[https://a.example/]", plain("https://a.example/")],
    ["https://example.com/foo。次の文", plain("https://example.com/foo")],
    ["看https://example.com/foo，好", plain("https://example.com/foo")],
    ["「https://example.com/foo」", plain("https://example.com/foo")],
    ["Https://example.org", plain("Https://example.org", "https://example.org/")],
    ["HTTP://EXAMPLE.ORG/A", plain("HTTP://EXAMPLE.ORG/A", "http://example.org/A")],
    ["www.example.org", plain("www.example.org", "https://www.example.org/")],
    ["WWW.example.org/a?b", plain("WWW.example.org/a?b", "https://www.example.org/a?b")],
    ["https://example.org/a_b_c__d_", plain("https://example.org/a_b_c__d")],
    ["**https://example.org/**", plain("https://example.org/")],
    ["_https://example.org/a_", plain("https://example.org/a")],
    ["~~https://example.org/a~~", plain("https://example.org/a")],
    ['"https://example.org/a"', plain("https://example.org/a")],
    ["“https://example.org/a”", plain("https://example.org/a")],
    ["'https://example.org/a'", plain("https://example.org/a")],
    [
      "https://example.org/a, https://example.org/b!",
      [...plain("https://example.org/a"), ...plain("https://example.org/b")],
    ],
    ["https://example.org/?q=[1]&x={2}", plain("https://example.org/?q=[1]&x={2}")],
    ["https://example.org/?q=a:b;c#d", plain("https://example.org/?q=a:b;c#d")],
    ["http://localhost:3000/x", plain("http://localhost:3000/x")],
    ["http://[::1]:3000/", plain("http://[::1]:3000/")],
    ["http://192.168.0.1/", plain("http://192.168.0.1/")],
    ["https://münchen.example/", plain("https://münchen.example/", "https://xn--mnchen-3ya.example/")],
    ["https://example.org/ü", plain("https://example.org/ü", "https://example.org/%C3%BC")],
    ["https://example.org/a\u202egnp.exe", plain("https://example.org/a")],
    ["https://example.org/a\u200b", plain("https://example.org/a")],
    ["https://example.org/a\u200f.", plain("https://example.org/a")],
    ["https://example.org/a`b`", plain("https://example.org/a")],
    ["https://example.org/a\\b", plain("https://example.org/a")],
    ["<https://example.org/a,b.>", plain("https://example.org/a,b.")],
    ["mailto:ada@example.org", plain("mailto:ada@example.org")],
    ["ada.l+x@mail.example.org.", plain("ada.l+x@mail.example.org", "mailto:ada.l+x@mail.example.org")],
    ["请联系ada@example.org。", plain("ada@example.org", "mailto:ada@example.org")],
    ["<ada@example.org>", plain("ada@example.org", "mailto:ada@example.org")],
    ["[write](mailto:ada@example.org?subject=x%20y)", [["write", "mailto:ada@example.org?subject=x%20y"]]],
    ["> [a](https://example.org)\n- b", [["a", "https://example.org/"]]],
    ["[a](https://example.org/x_(y))", [["a", "https://example.org/x_(y)"]]],
    ["[a](<https://example.org/x y> 'z')", [["a", "https://example.org/x%20y"]]],
    ["[a](www.example.org)", [["a", "https://www.example.org/"]]],
    ["[a [b] c](https://example.org)", [["a [b] c", "https://example.org/"]]],
    ["[1] and [a](https://example.org)", [["a", "https://example.org/"]]],
    ['[a](https://example.org "t" )', [["a", "https://example.org/"]]],
    ["[a](https://example.org", plain("https://example.org", "https://example.org/")],
    [
      "[[a](https://b.example)](https://c.example)",
      [["a", "https://b.example/"], ...plain("https://c.example", "https://c.example/")],
    ],
    ["![alt](https://example.org/p.png)", [["alt", "https://example.org/p.png"]]],
    ["https://user:pw@example.org/", plain("pw@example.org", "mailto:pw@example.org")],
    ["[](https://example.org/p)", [["https://example.org/p", "https://example.org/p"]]],
  ] as [string, string[][]][]) {
    expect(links(source), source).toEqual(expected);
  }
});

test("what is no web or mail address is no link", () => {
  for (const source of [
    "https://",
    "https://.",
    "http:///x",
    "https:/example.org",
    "https:example.org",
    "www.",
    "www.example",
    "www..org",
    "ahttps://x.example",
    "awww.example.org",
    "x.www.example.org",
    "javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "ftp://example.org/",
    "file:///etc/passwd",
    "blob:https-x",
    "tel:123",
    "xmpp:ada",
    "user@host",
    "npm i pkg@1.2.3",
    "@scope/name@1.2",
    "https://bank.example@evil.example/",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\tscript:alert(1))",
    "[a]( javascript:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](\u0001javascript:alert(1))",
    "[a](data:text/html;base64,xx)",
    "[a](vbscript:msgbox)",
    "[a](//evil.example)",
    "[a](/room/1)",
    "[a](#x)",
    "[a](x.html)",
    "[a](blob:x)",
    "<javascript:alert(1)>",
    "<data:x>",
    "[a](<javascript:alert(1)>)",
    "![a](javascript:alert(1))",
    "[a][b]",
    "[a]: javascript:alert(1)",
    `https://example.org/${"a".repeat(2_048)}`,
    `[a](https://example.org/${"a".repeat(2_048)})`,
    "`https://example.org`",
    "    https://example.org",
  ]) {
    expect(links(source), source).toEqual([]);
  }
});

test("a text that looks like another address shows the real host", () => {
  for (const [text, href, host] of [
    ["here", "https://evil.example/", null],
    ["https://bank.example/", "https://evil.example/", "evil.example"],
    ["bank.example", "https://evil.example/x", "evil.example"],
    ["Go to Bank.Example now", "https://evil.example:8443/", "evil.example:8443"],
    ["www.bank.example", "https://bank.example/login", null],
    ["bank.example", "https://www.bank.example/", null],
    ["https://bank.example/a", "https://bank.example/b", null],
    ["bank.example", "https://bank.example.evil.example/", "bank.example.evil.example"],
    ["ｂａｎｋ．example", "https://evil.example/", "evil.example"],
    ["bank。example", "https://evil.example/", "evil.example"],
    ["bank\u200b.\u00adexample", "https://evil.example/", "evil.example"],
    ["\u202eelpmaxe.knab", "https://evil.example/", "evil.example"],
    ["http://10.0.0.1/", "https://evil.example/", "evil.example"],
    ["10.0.0.1", "https://evil.example/", "evil.example"],
    ["http://localhost", "https://evil.example/", "evil.example"],
    ["München.example", "https://xn--mnchen-3ya.example/", null],
    ["https://bank.example and evil.example", "https://evil.example/", "evil.example"],
    ["https://evil.example/p.png", "https://evil.example/p.png", null],
    ["evil.example/p.png", "https://evil.example/p.png", null],
    ["https://bank.example@evil.example/", "https://evil.example/", "evil.example"],
    ["https://bank.example\\.evil.example", "https://evil.example/", "evil.example"],
    ["see p.png", "https://evil.example/p.png", "evil.example"],
    ["a".repeat(3_000), "https://evil.example/", "evil.example"],
    ["ada@example.org", "mailto:ada@example.org", null],
    ["ada@example.org", "mailto:eve@example.org", "eve@example.org"],
    ["write", "mailto:eve@example.org", null],
    ["https://bank.example", "mailto:eve@example.org", "eve@example.org"],
  ] as [string, string, string | null][]) {
    expect(hostBehind(text, href), text).toBe(host);
  }
  expect(links("[**bank**.example](https://evil.example) <https://a.example> https://b.example")).toEqual([
    ["….example", "https://evil.example/", "evil.example"],
    ["https://a.example", "https://a.example/"],
    ["https://b.example", "https://b.example/"],
  ]);
});

test("addresses of this server's rooms", () => {
  for (const [path, place] of [
    ["/room/12", { roomId: 12 }],
    ["/room/12/", { roomId: 12 }],
    ["/room/12/345", { roomId: 12, seq: 345 }],
    ["/room/0", null],
    ["/room/012", null],
    ["/room/12x", null],
    ["/room/12/345/6", null],
    ["/room/12?x", null],
    ["/room/9007199254740993", null],
    ["/rooms/12", null],
    ["", null],
  ] as [string, object | null][]) {
    expect(placeOf(ORIGIN + path, ORIGIN), path).toEqual(place);
  }
  expect(placeOf("https://chat.example.org.evil.example/room/1", ORIGIN)).toBe(null);
  expect(placeOf("https://chat.example.org:8443/room/1", ORIGIN)).toBe(null);
  expect(placeOf("/room/1", "")).toBe(null);
  expect(placeOf(hrefOf("HTTPS://Chat.Example.org/room/1") ?? "", ORIGIN)).toEqual({ roomId: 1 });
});

test("hostile texts of links are quick", () => {
  const before = process.cpuUsage().user;
  for (const text of ["a.".repeat(4_000), "-".repeat(8_000), "1.1.1.".repeat(1_300), "://".repeat(2_600)])
    hostBehind(text, "https://a.example/");
  expect(process.cpuUsage().user - before).toBeLessThan(500_000);
});

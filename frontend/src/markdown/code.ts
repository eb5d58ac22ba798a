// Where a text is code, as CommonMark has it: spans between runs of as many backticks, blocks that are fenced, blocks
// that are indented; also within quotations and lists. What else Markdown knows isn't looked at: neither HTML (`<div>`
// and `<a href="`">` keep what is in them from being code) nor links whose address has backticks. The server's library,
// unlike CommonMark, also takes a quotation's next line behind a tab, and no closing fence before one.

/** Where a part of a text begins, and where it ends (exclusive). */
export type Span = readonly [start: number, end: number];

/** Gives the rest of a line that goes on with a quotation or list item; null: it has ended. */
type Container = (line: string) => string | null;

const QUOTATION = /^ {0,3}> ?/;
const ITEM = /^( {0,3}(?:[-+*]|(\d{1,9})[.)]))( +|$)/;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}#{1,6}(?: |$)/;
const RULE = /^ {0,3}([-_*])(?: *\1){2,} *$/;
const UNDERLINE = /^ {0,3}(?:=+|-+) *$/; // of a heading

/** Rising parts of a text that are apart from each other. */
export function codeRanges(text: string): Span[] {
  const found: Span[] = [];
  const open: Container[] = []; // the quotations and list items around the last line, from the outside
  let paragraph: Span | null = null; // it may go on
  let fence: string | null = null; // the mark that began a block
  const finish = (): void => {
    if (paragraph) found.push(...codeSpans(text, paragraph));
    paragraph = null;
  };
  for (const [start, end] of linesOf(text)) {
    let line = untabbed(text.slice(start, end).replace(/\r?\n$/, ""));
    let depth = 0; // so many of them go on
    for (const container of open) {
      const inner = container(line);
      if (inner === null) break;
      line = inner;
      depth += 1;
    }
    const leave = (): void => {
      if (depth < open.length) fence = null;
      finish();
      open.length = depth;
    };
    while (!fence || depth < open.length) {
      const begun = beginning(line, paragraph !== null && depth === open.length);
      if (!begun) break;
      leave();
      open.push(begun.goesOn);
      line = begun.line;
      depth += 1;
    }
    const isBlank = !line.trim();
    const mark = line.match(FENCE)?.[1];
    const isText = !isBlank && !mark && !RULE.test(line) && !HEADING.test(line);
    if (depth < open.length && paragraph && isText) {
      paragraph = [paragraph[0], end]; // it goes on, lazily
      continue;
    }
    if (depth < open.length) leave();
    if (fence) {
      found.push([start, end]);
      if (mark && closes(mark, fence) && line.trim() === mark) fence = null;
    } else if (!paragraph && !isBlank && indentOf(line) >= 4) {
      found.push([start, end]);
    } else if (isText && !(paragraph && UNDERLINE.test(line))) {
      paragraph = [paragraph?.[0] ?? start, end];
    } else {
      finish();
      if (mark) found.push([start, end]);
      else if (HEADING.test(line)) found.push(...codeSpans(text, [start, end]));
      fence = mark ?? null;
    }
  }
  finish();
  return found;
}

function* linesOf(text: string): Generator<Span> {
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline + 1;
    yield [start, end];
    start = end;
  }
}

const closes = (mark: string, fence: string): boolean => mark[0] === fence[0] && mark.length >= fence.length;

/** The quotation or the list item that begins here, perhaps in place of a paragraph's next line. */
function beginning(line: string, inParagraph: boolean): { line: string; goesOn: Container } | null {
  const quotation = line.match(QUOTATION);
  if (quotation) return { line: line.slice(quotation[0].length), goesOn: quoted };
  const item = line.match(ITEM);
  if (!item || RULE.test(line)) return null;
  const [whole, bullet = "", number = "1", gap = ""] = item;
  let isEmpty = line.length === whole.length;
  if (inParagraph && (isEmpty || Number(number) !== 1)) return null;
  const width = bullet.length + (isEmpty || gap.length > 4 ? 1 : gap.length);
  const goesOn = (next: string): string | null => {
    if (!next.trim()) return isEmpty ? null : "";
    if (indentOf(next) < width) return null;
    isEmpty = false;
    return next.slice(width);
  };
  return { line: line.slice(width), goesOn };
}

const quoted = (line: string): string | null => (QUOTATION.test(line) ? line.replace(QUOTATION, "") : null);

const untabbed = (line: string): string =>
  line.split("\t").reduce((done, part) => done + " ".repeat(4 - (done.length % 4)) + part);

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** A span begins with a run of backticks, less one that is escaped, and ends with the next run of as many. */
function codeSpans(text: string, [start, end]: Span): Span[] {
  const part = text.slice(start, end);
  const runs = [...part.matchAll(/`+/g)].map(({ 0: run, index }) => ({ at: index, length: run.length }));
  const last = new Map(runs.map((run, index) => [run.length, index]));
  const found: Span[] = [];
  let next = 0; // the runs before it are done with
  for (const [index, run] of runs.entries()) {
    if (index < next) continue;
    const escaped = isEscaped(part, run.at) ? 1 : 0;
    const length = run.length - escaped;
    if (!((last.get(length) ?? -1) > index)) continue;
    next = index + 1;
    while (runs[next]?.length !== length) next += 1;
    found.push([start + run.at + escaped, start + (runs[next]?.at ?? 0) + length]);
    next += 1;
  }
  return found;
}

function isEscaped(text: string, at: number): boolean {
  let begin = at;
  while (text[begin - 1] === "\\") begin -= 1;
  return (at - begin) % 2 === 1;
}

// Where a text is code, as CommonMark has it: spans between runs of as many backticks, blocks that are fenced, blocks that are
// indented; also within quotations and lists. What else Markdown knows isn't looked at: neither HTML (`<div>` and `<a href="`">`
// keep what is in them from being code) nor links whose address has backticks. The server's library, unlike CommonMark, also takes
// a quotation's next line behind a tab, and no closing fence before one.

const QUOTATION = /^ {0,3}> ?/;
const ITEM = /^( {0,3}(?:[-+*]|(\d{1,9})[.)]))( +|$)/;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}#{1,6}(?: |$)/;
const RULE = /^ {0,3}([-_*])(?: *\1){2,} *$/;
const UNDERLINE = /^ {0,3}(?:=+|-+) *$/; // of a heading

/** Rising ranges [start, end] of a text that are apart from each other. */
export function codeRanges(text) {
  const found = [];
  const open = []; // the quotations and list items around the last line, from the outside
  let paragraph = null; // {start, end}, and it may go on
  let fence = null; // the mark that began a block
  const finish = () => {
    if (paragraph) found.push(...spans(text, paragraph.start, paragraph.end));
    paragraph = null;
  };
  for (const [start, end] of linesOf(text)) {
    let line = untabbed(text.slice(start, end).replace(/\r?\n$/, ""));
    let depth = 0; // so many of them go on
    for (let inner; depth < open.length && (inner = open[depth](line)) !== null; depth += 1) line = inner;
    const leave = () => {
      if (depth < open.length) fence = null;
      finish();
      open.length = depth;
    };
    for (let begun; (!fence || depth < open.length) && (begun = beginning(line, paragraph && depth === open.length)); depth += 1) {
      leave();
      open.push(begun.goesOn);
      line = begun.line;
    }
    const isBlank = !line.trim();
    const mark = line.match(FENCE)?.[1];
    const isText = !isBlank && !mark && !RULE.test(line) && !HEADING.test(line);
    if (depth < open.length && paragraph && isText) {
      paragraph.end = end; // it goes on, lazily
      continue;
    }
    if (depth < open.length) leave();
    if (fence) {
      found.push([start, end]);
      const closes = mark && mark[0] === fence[0] && mark.length >= fence.length;
      if (closes && line.trim() === mark) fence = null;
    } else if (!paragraph && !isBlank && indentOf(line) >= 4) {
      found.push([start, end]);
    } else if (isText && !(paragraph && UNDERLINE.test(line))) {
      paragraph = { start, ...paragraph, end };
    } else {
      finish();
      if (mark) found.push([start, end]);
      else if (HEADING.test(line)) found.push(...spans(text, start, end));
      fence = mark ?? null;
    }
  }
  finish();
  return found;
}

function* linesOf(text) {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline + 1;
    yield [start, end];
    start = end;
  }
}

/** The quotation or the list item that begins here, perhaps in place of a paragraph's next line. */
function beginning(line, inParagraph) {
  const quotation = line.match(QUOTATION);
  if (quotation) return { line: line.slice(quotation[0].length), goesOn: quoted };
  const item = line.match(ITEM);
  if (!item || RULE.test(line)) return null;
  const rest = line.slice(item[0].length);
  let isEmpty = !rest;
  if (inParagraph && (isEmpty || Number(item[2] ?? 1) !== 1)) return null;
  const width = item[1].length + (isEmpty || item[3].length > 4 ? 1 : item[3].length);
  const goesOn = (next) => {
    if (!next.trim()) return isEmpty ? null : "";
    if (indentOf(next) < width) return null;
    isEmpty = false;
    return next.slice(width);
  };
  return { line: line.slice(width), goesOn };
}

const quoted = (line) => (QUOTATION.test(line) ? line.replace(QUOTATION, "") : null);
const untabbed = (line) => line.split("\t").reduce((done, part) => done + " ".repeat(4 - (done.length % 4)) + part);
const indentOf = (line) => line.length - line.trimStart().length;

/** A span begins with a run of backticks, less one that is escaped, and ends with the next run of as many. */
function spans(text, start, end) {
  const part = text.slice(start, end);
  const runs = [...part.matchAll(/`+/g)].map(({ 0: run, index }) => ({ at: index, length: run.length }));
  const last = new Map(runs.map((run, index) => [run.length, index]));
  const found = [];
  for (let index = 0; index < runs.length; index += 1) {
    const escaped = isEscaped(part, runs[index].at) ? 1 : 0;
    const length = runs[index].length - escaped;
    if (!(last.get(length) > index)) continue;
    const begin = runs[index].at + escaped;
    do index += 1; while (runs[index].length !== length);
    found.push([start + begin, start + runs[index].at + length]);
  }
  return found;
}

function isEscaped(text, at) {
  let begin = at;
  while (text[begin - 1] === "\\") begin -= 1;
  return (at - begin) % 2 === 1;
}

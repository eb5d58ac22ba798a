// Where a text is code, as CommonMark has it: spans between runs of as many backticks, blocks that are fenced, blocks that are
// indented; also within quotations and lists. What else Markdown knows isn't looked at: HTML, and links with backticks in them.

const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3}(?:[-+*]|\d{1,9}[.)]))( +|$)/;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}#{1,6}(?:\s|$)/;
const RULE = /^ {0,3}(?:=+|-+|([-_*])(?: *\1){2,})\s*$/; // or the line under a heading

/** Rising ranges [start, end] of a text that are apart from each other. */
export function codeRanges(text) {
  const found = [];
  let paragraph = null; // {start, end, depth}
  let fence = null; // {mark, depth, items}: in so many quotations and list items
  const indents = []; // of the list items that a line may go on with
  const finish = () => {
    if (paragraph) found.push(...spans(text, paragraph.start, paragraph.end));
    paragraph = null;
  };
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline + 1;
    let line = text.slice(start, newline < 0 ? end : newline).replace(/\r$/, "").replace(/^[\t ]+/, spaces);
    let depth = 0;
    for (; QUOTE.test(line) && !(fence && depth === fence.depth); depth += 1) line = line.replace(QUOTE, "").replace(/^[\t ]+/, spaces);
    if (fence && depth < fence.depth) fence = null;
    const isBlank = !line.trim();
    while (!isBlank && indents.length > 0 && indentOf(line) < indents.at(-1)) {
      if (paragraph && !ITEM.test(line) && !FENCE.test(line)) break; // it goes on, lazily
      indents.pop();
      if (fence && indents.length < fence.items) fence = null;
      finish();
    }
    if (indents.length > 0) line = line.slice(Math.min(indents.at(-1), indentOf(line)));
    for (let item; !fence && (item = line.match(ITEM)) && !RULE.test(line);) {
      finish();
      const inner = item[2].length > 4 || !item[2] ? 1 : item[2].length;
      indents.push((indents.at(-1) ?? 0) + item[1].length + inner);
      line = line.slice(item[1].length + inner);
    }
    const mark = line.match(FENCE)?.[1];
    if (fence) {
      found.push([start, end]);
      const closes = mark && mark[0] === fence.mark[0] && mark.length >= fence.mark.length;
      if (closes && line.trim() === mark) fence = null;
    } else if (mark) {
      finish();
      fence = { mark, depth, items: indents.length };
      found.push([start, end]);
    } else if (isBlank || RULE.test(line)) {
      finish();
    } else if (!paragraph && indentOf(line) >= 4) {
      found.push([start, end]);
    } else if (HEADING.test(line)) {
      finish();
      found.push(...spans(text, start, end));
    } else {
      if (paragraph && depth > paragraph.depth) finish();
      paragraph = { start, depth, ...paragraph, end };
    }
    start = end;
  }
  finish();
  return found;
}

const spaces = (blank) => [...blank].reduce((line, c) => line + (c === "\t" ? " ".repeat(4 - (line.length % 4)) : c), "");
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

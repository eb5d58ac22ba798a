// Text that is selected across messages is copied as "name: text" lines.

/** Elements of the page that are no part of a message's text. */
const INTERFACE = ".md-code__bar, .md-more, .message__edited";
const BLOCKS = "div, p, ul, ol, li, pre, blockquote, hr, table, thead, tbody, tr";
/** Elements whose blocks are separated by a blank line. */
const PARAGRAPHS = ".md, blockquote";

/** Copies what is selected of the messages, also if the whole page is selected. */
export function copySelection(event: ClipboardEvent): void {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0 || !event.clipboardData) return;
  if (event.target instanceof Element && event.target.closest("input, textarea")) return;
  const range = selection.getRangeAt(0);
  const lines = [...document.querySelectorAll<HTMLElement>("[data-author]")].flatMap((part) => {
    const text = textIn(part, range).replace(/^\n+|\s+$/g, "");
    return text ? `${part.dataset.author}: ${text}` : [];
  });
  if (lines.length < 2) return;
  event.clipboardData.setData("text/plain", lines.join("\n"));
  event.preventDefault();
}

/** The text of a node within a range, with line breaks between blocks and the markers of lists and quotations. */
export function textIn(node: Node, range: Range): string {
  if (!range.intersectsNode(node)) return "";
  if (node instanceof Text) {
    const from = node === range.startContainer ? range.startOffset : 0;
    return node.data.slice(from, node === range.endContainer ? range.endOffset : undefined);
  }
  if (!(node instanceof Element) || node.matches(INTERFACE)) return "";
  if (node.matches("br, hr")) return node.matches("hr") ? "---" : "\n";
  let text = "";
  for (const child of node.childNodes) {
    const inner = textIn(child, range);
    const isBlock = child instanceof Element && child.matches(BLOCKS);
    const isCell = child instanceof Element && child.matches("td, th");
    if (isBlock && inner && text) text += node.matches(PARAGRAPHS) ? "\n\n" : "\n";
    else if (isCell && child !== node.firstChild) text += "\t";
    text += inner;
  }
  if (node.matches("blockquote")) return text.replace(/^/gm, "> ");
  const sign = text && node.matches("li") ? signOf(node) : "";
  return sign + text.replaceAll("\n", `\n${" ".repeat(sign.length)}`);
}

/** The marker of an item. Numbers are counted from the last item that has a `value`, or from 1. */
function signOf(item: Element): string {
  if (!item.matches("ol > li")) return item.matches(".md-task") ? "" : "- ";
  let [at, count] = [item, 0];
  while (!at.hasAttribute("value") && at.previousElementSibling) {
    at = at.previousElementSibling;
    count += 1;
  }
  return `${Number(at.getAttribute("value") ?? 1) + count}. `;
}

// Text that is selected across messages is copied as "name: text" lines.

import type { ClipboardEvent } from "react";

export function copySelection(event: ClipboardEvent): void {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return;
  const range = selection.getRangeAt(0);
  const parts = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-author]")].filter((part) =>
    range.intersectsNode(part),
  );
  if (parts.length < 2) return;
  const lines = parts.map((part) => {
    const inside = document.createRange();
    inside.selectNodeContents(part);
    if (part.contains(range.startContainer)) inside.setStart(range.startContainer, range.startOffset);
    if (part.contains(range.endContainer)) inside.setEnd(range.endContainer, range.endOffset);
    return `${part.dataset.author}: ${textOf(inside)}`;
  });
  event.clipboardData.setData("text/plain", lines.join("\n"));
  event.preventDefault();
}

/** A range's text with the breaks of its blocks. */
function textOf(range: Range): string {
  const part = range.cloneContents();
  for (const block of part.querySelectorAll("br, p, li, pre, blockquote, div")) block.append("\n");
  return (part.textContent ?? "").replace(/\n{2,}/g, "\n").trim();
}

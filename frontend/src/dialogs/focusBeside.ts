/**
 * The button of this row is about to go: the next one gets the focus, or the one before, or the panel around them. What has
 * the focus elsewhere keeps it.
 */
export function focusBeside(row: Element | null): void {
  const focused = document.activeElement;
  if (!row || (focused && !row.contains(focused) && focused.contains(row) === false)) return;
  const rows = [...(row.parentElement?.children ?? [])];
  const at = rows.indexOf(row);
  const others = [...rows.slice(at + 1), ...rows.slice(0, at).reverse()];
  const button = others.map((other) => other.querySelector("button")).find((found) => found !== null);
  const target = button ?? row.closest<HTMLElement>("[tabindex]");
  target?.focus();
}

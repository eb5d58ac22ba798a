/**
 * Call it before a row with the focus is removed. The focus moves to the next row's button, to that of the one before, or
 * to the panel around them. It stays where it is if it is elsewhere.
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

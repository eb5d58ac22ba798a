/** How well `name` fits what is sought, 0: not at all. All letters in order count; the beginnings of words count most. */
export function rankOf(sought: string, name: string): number {
  if (sought === "") return 1;
  if (name === sought) return 1_000;
  if (name.startsWith(sought)) return 500 - name.length / 100;
  const words = name.split(/[\s._-]+/);
  if (words.some((word) => word.startsWith(sought))) return 300 - name.length / 100;
  if (name.includes(sought)) return 200 - name.length / 100;
  let from = 0;
  let gaps = 0;
  for (const letter of sought.replace(/\s+/g, "")) {
    const at = name.indexOf(letter, from);
    if (at < 0) return 0;
    gaps += at - from;
    from = at + letter.length;
  }
  return 100 / (1 + gaps);
}

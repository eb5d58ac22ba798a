const PART_MAX = 0.4; // of the window's height

/** Makes a text area of the class `grows` as high as its text, where the browser doesn't do it by itself. */
export function grow(area: HTMLTextAreaElement): void {
  if (CSS.supports("field-sizing", "content")) return;
  const max = Math.round(innerHeight * PART_MAX);
  area.style.blockSize = "auto";
  const wanted = Math.min(area.scrollHeight + area.offsetHeight - area.clientHeight, max);
  area.style.blockSize = `${wanted}px`;
  area.style.overflowY = area.scrollHeight > max ? "auto" : "hidden";
}

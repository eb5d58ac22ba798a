import { expect, test } from "vitest";
import { uuid } from "./uuid.ts";

test("ids begin with the time, and are of version 7", () => {
  const before = Date.now();
  const all = Array.from({ length: 1_000 }, uuid);
  const after = Date.now();
  for (const id of all) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const time = Number.parseInt(id.replace("-", "").slice(0, 12), 16);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(after);
  }
  expect(new Set(all).size).toBe(all.length);
});

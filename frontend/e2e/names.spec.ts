// People are called as they are called now, everywhere on the page.

import { within } from "./support/patience.ts";
import { keptOf } from "./support/storage.ts";
import { expect, messageWith, test } from "./support/test.ts";

test("a new name is the one name on the page, at once and after a reload", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Old")];
  const room = await server.room(ana, "harbour", [bo]);
  await server.say(bo, room, "first");
  const { page } = await open(ana, `/room/${room.id}?panel=members`);
  await expect(messageWith(page, "first")).toContainText("Bo Old");
  const member = page.locator(".user", { hasText: "Bo" });
  await expect(member).toContainText("Bo Old");
  await server.must("PATCH", "/api/me", { full_name: "Bo New" }, bo.token);
  await server.say(bo, room, "second");
  await expect(page.locator(".room-link__line")).toContainText("Bo New");
  await expect(messageWith(page, "first")).toContainText("Bo New");
  await expect(member).toContainText("Bo New");
  await expect(page.getByText("Bo Old")).toHaveCount(0);

  // Nobody tells of this one: what was kept is read anew.
  await server.must("PATCH", "/api/me", { full_name: "Bo Newest" }, bo.token);
  await page.reload();
  await expect(messageWith(page, "first")).toContainText("Bo Newest", { timeout: within(15_000) });
  await expect(member).toContainText("Bo Newest");
  await expect(page.locator(".room-link__line")).toContainText("Bo Newest");
});

test("who has deleted their account is called so after a reload", async ({ server, account, open }) => {
  const [ana, gone] = [await account("ana"), await account("gone", "Gone Person")];
  const room = await server.room(ana, "harbour", [gone]);
  await server.say(gone, room, "still here");
  await server.say(ana, room, "bye");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "still here")).toContainText("Gone Person");
  await expect.poll(async () => (await keptOf(page, ana.id)).rooms).toEqual([room.id]);
  await server.must("DELETE", "/api/me", { current_password: gone.password }, gone.token);
  await page.reload();
  await expect(messageWith(page, "still here")).toContainText("Deleted user");
  await expect(page.getByText("Gone Person")).toHaveCount(0);
});

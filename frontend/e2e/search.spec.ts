// Search of messages.

import { expect, messageWith, test } from "./support/test.ts";

test("15: search shows the words, leads to the place, and keeps query and filters", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const [here, there] = [await server.room(ana, "here", [bo]), await server.room(ana, "there", [bo])];
  await server.say(bo, here, "the lighthouse keeper");
  await server.say(ana, here, "the lighthouse lamp");
  for (let index = 3; index <= 150; index += 1) await server.say(ana, here, `line ${index}`);
  await server.say(bo, there, "another lighthouse");
  await server.indexed(ana, "lighthouse", 3);
  const { page } = await open(ana, `/room/${here.id}`);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  const query = page.getByRole("searchbox", { name: "Search messages" });
  const found = page.getByRole("list", { name: "Results" }).getByRole("listitem");
  await query.fill("lighthouse");
  await expect(found).toHaveCount(2);
  await expect(found.first().locator("mark")).toHaveText("lighthouse");
  await page.getByLabel("From @username").fill(bo.username);
  await expect(found).toHaveCount(1);
  await page.getByLabel("Where").selectOption("all");
  await expect(found).toHaveCount(2);
  await found.filter({ hasText: "keeper" }).getByRole("button").click();
  await expect(messageWith(page, "lighthouse keeper")).toBeInViewport();
  await found.filter({ hasText: "another" }).getByRole("button").click();
  await expect(messageWith(page, "another lighthouse")).toBeInViewport();
  await expect(page).toHaveURL(new RegExp(`/room/${there.id}/`));
  // Elsewhere and back again.
  await page.getByRole("button", { name: "Close" }).last().click();
  await expect(query).toHaveCount(0);
  await page.locator(`.room-link[data-room='${here.id}']`).click();
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await expect(query).toHaveValue("lighthouse");
  await expect(page.getByLabel("From @username")).toHaveValue(bo.username);
  await expect(page.getByLabel("Where")).toHaveValue("all");
  await expect(found).toHaveCount(2);
});

test("15: misspelt words are found below the others, and days limit what is found", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "here", []);
  await server.say(ana, room, "the lighthouse keeper");
  await server.say(ana, room, "the lighthuose lamp");
  await server.indexed(ana, "lighthouse", 2);
  const { page } = await open(ana, `/room/${room.id}`);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("searchbox", { name: "Search messages" }).fill("lighthouse");
  const exact = page.getByRole("list", { name: "Results" }).getByRole("listitem");
  const similar = page.getByRole("list", { name: "Similar words" }).getByRole("listitem");
  await expect(exact).toHaveCount(1);
  await expect(similar).toHaveCount(1);
  await expect(similar.locator("mark")).toHaveText("lighthuose");
  const day = (shift: number): Promise<string> =>
    page.evaluate((days) => {
      const date = new Date();
      date.setDate(date.getDate() + days);
      return new Intl.DateTimeFormat("sv").format(date);
    }, shift);
  await page.getByLabel("Until").fill(await day(-1));
  await expect(page.getByRole("status").filter({ hasText: "Nothing was found" })).toBeVisible();
  await page.getByLabel("Until").fill(await day(1));
  await page.getByLabel("Since").fill(await day(-1));
  await expect(exact).toHaveCount(1);
});

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

// A server at home, reached over plain http by its address: no secure context, hence no randomUUID, locks, clipboard or
// notifications. All that people do first works there.

import { networkInterfaces } from "node:os";
import { within } from "./support/patience.ts";
import { box, expect, messages, messageWith, type Page, Server, say, test } from "./support/test.ts";

const HOST = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;

const unlike = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 8)}`;

async function register(page: Page, server: Server): Promise<string> {
  const name = unlike("home");
  await page.goto(`${server.url}/register`);
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill("opens the door 7");
  await page.getByLabel("Password again").fill("opens the door 7");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText(`Welcome, ${name}`)).toBeVisible();
  return name;
}

test("over plain http: register, talk, copy a link, reload with a message that waits", async ({
  browser,
  faults,
}) => {
  test.skip(HOST === undefined, "this machine has no address but its own");
  faults.allow(/WebSocket|ERR_CONNECTION/);
  const server = new Server({}, HOST);
  await server.start();
  const contexts = [await browser.newContext(), await browser.newContext()];
  try {
    const [one, two] = [await contexts[0]?.newPage(), await contexts[1]?.newPage()];
    if (!one || !two) throw new Error("two pages were made");
    let isCut = false;
    const cut: { close(): Promise<void> }[] = [];
    await one.routeWebSocket(/\/ws$/, (socket) => {
      if (isCut) return void socket.close();
      socket.connectToServer();
      cut.push(socket);
    });
    await register(one, server);
    await register(two, server);
    expect(
      await one.evaluate(() => [
        isSecureContext,
        "randomUUID" in crypto,
        "locks" in navigator,
        "clipboard" in navigator,
      ]),
    ).toEqual([false, false, false, false]);

    await one.getByRole("button", { name: /^Make a room/ }).click();
    await one.getByLabel("Name").fill("at home");
    await one.getByRole("button", { name: "Create room" }).click();
    await say(one, "hello from the kitchen");
    await expect(one.locator("[data-state=pending]")).toHaveCount(0);
    await two.goto(one.url());
    await two.getByRole("button", { name: "Join this room" }).click();
    await expect(messageWith(two, "hello from the kitchen")).toBeVisible();
    await say(two, "hello from the garden");
    await expect(messageWith(one, "hello from the garden")).toBeVisible();

    await messageWith(one, "hello from the garden").hover();
    await one.getByRole("toolbar").getByRole("button", { name: "More" }).click();
    await one.getByRole("menuitem", { name: "Copy link" }).click();
    await expect(one.getByText("Copied")).toBeVisible();
    await box(one).press("ControlOrMeta+v");
    await expect(box(one)).toHaveValue(new RegExp(`^${server.url}/room/\\d+/2$`));
    await box(one).fill("");

    isCut = true;
    for (const socket of cut) await socket.close();
    await expect(one.locator(".banner")).toBeVisible();
    await say(one, "kept at home");
    await expect(one.locator("[data-state=pending]")).toHaveCount(1);
    isCut = false;
    await one.reload();
    await expect(messageWith(one, "kept at home")).toHaveCount(1);
    await expect(one.locator("[data-state=pending]")).toHaveCount(0, { timeout: within(45_000) });
    await expect(messageWith(two, "kept at home")).toHaveCount(1);
    await expect(messages(two)).toHaveCount(3);

    await one.getByRole("button", { name: /^Settings of/ }).click();
    await one.getByRole("tab", { name: "Notifications" }).click();
    await expect(one.getByText("need https")).toBeVisible();
  } finally {
    for (const context of contexts) await context.close();
    await server.remove();
  }
});

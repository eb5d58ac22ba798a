import { expect, type Page, type WebSocketRoute } from "@playwright/test";

/** The page's way to the server, which can be cut. */
export async function line(page: Page): Promise<{ cut(): Promise<void>; mend(): void }> {
  let isCut = false;
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/ws$/, (socket) => {
    sockets.push(socket);
    if (isCut) void socket.close({ code: 4000 });
    else socket.connectToServer();
  });
  return {
    async cut() {
      isCut = true;
      await Promise.all(sockets.splice(0).map((socket) => socket.close({ code: 4000 })));
      await expect(page.locator(".banner")).toBeVisible();
    },
    mend() {
      isCut = false;
    },
  };
}

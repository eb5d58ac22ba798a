// Leaving asks first where something would be lost.

import type { Text } from "../i18n/text.ts";
import type { Engine } from "../session/engine.ts";
import { leaveBy, logOut, session } from "../session/session.ts";
import { isolated, nameOf } from "./people.ts";
import { confirmed } from "./ui.ts";

const joined = (...sentences: string[]): string => sentences.filter(Boolean).join(" ");

/** What is lost by whoever leaves now, in words; "": nothing. */
export function unsentWords(engine: Engine, t: Text): string {
  const [unsent, undone] = [engine.unsent(), engine.undone()];
  return joined(
    unsent === 0 ? "" : t("leaving.unsent", { count: unsent }),
    undone === 0 ? "" : t("leaving.undone", { count: undone }),
  );
}

let isOffering = false;

/** Asks whoever is logged in and opens an invite whether to log out, since an invite makes another account. Invites opened meanwhile share the question. */
export async function offerInvite(engine: Engine, t: Text): Promise<void> {
  if (isOffering) return;
  isOffering = true;
  const text = (): string =>
    joined(t("inviteOpened.text", { name: isolated(nameOf(engine.me)) }), unsentWords(engine, t));
  const yes = await confirmed({ title: t("inviteOpened.title"), text, yes: t("settings.logOut") });
  isOffering = false;
  if (yes) logOut();
  else if (session.getState().engine === engine) session.setState({ invite: null }); // it outlives a session that ends meanwhile
}

export async function logOutAsking(engine: Engine, t: Text): Promise<void> {
  const text = (): string => unsentWords(engine, t) || t("leaving.allSent");
  const question = { title: t("leaving.title"), text, yes: t("settings.logOut"), isDanger: true };
  if (unsentWords(engine, t) === "" || (await confirmed(question))) logOut();
}

/** Throws a `Problem`. */
export async function logOutEverywhere(engine: Engine, t: Text): Promise<void> {
  const text = (): string => joined(t("leaving.everywhere"), unsentWords(engine, t));
  const yes = await confirmed({
    title: t("leaving.everywhere.title"),
    text,
    yes: t("settings.logOutEverywhere"),
    isDanger: true,
  });
  if (yes) await leaveBy("everywhere", ({ api }) => api.POST("/api/logout/all"));
}

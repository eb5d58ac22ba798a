// Which names a message marks, and where a mark leads.

import { useCallback, useMemo } from "react";
import { fold } from "../markdown/names.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { openDialog } from "../shell/ui.ts";

export type Names = ReadonlyMap<string, { userId: number | null; me: boolean }>;

const NOBODY: Names = new Map();

/** The names of those whom the server counts as mentioned. A name that isn't known yet is marked once it is. */
export function useMentioned(ids: readonly number[] | undefined, all: boolean | undefined): Names {
  const me = useEngine().me.id;
  const names = useClient((client) => (ids ?? []).map((id) => client.person(id)?.username ?? "").join("\n"));
  return useMemo(() => {
    if (names === "" && !all) return NOBODY;
    const found = new Map<string, { userId: number | null; me: boolean }>();
    names.split("\n").forEach((name, index) => {
      const userId = ids?.[index];
      if (name !== "" && userId !== undefined) found.set(fold(name), { userId, me: userId === me });
    });
    if (all) found.set("all", { userId: null, me: true });
    return found;
  }, [ids, names, all, me]);
}

/** Opens the person. */
export function useOpenMention(roomId: number): (userId: number | null) => void {
  const { client } = useEngine();
  return useCallback(
    (userId) => {
      const user = userId === null ? undefined : client.person(userId);
      if (user) openDialog({ kind: "person", user, roomId });
    },
    [client, roomId],
  );
}

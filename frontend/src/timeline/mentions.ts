// Which names a message marks, and where a mark leads.

import { useCallback, useMemo } from "react";
import { fold } from "../markdown/names.ts";
import { useClient } from "../session/hooks.ts";
import { usePlace } from "../shell/routes.ts";
import { openDialog } from "../shell/ui.ts";

export type Names = ReadonlyMap<string, { userId: number | null; me: boolean }>;

const NOBODY: Names = new Map();

/** The names of those whom the server counts as mentioned. A name that isn't known yet is marked once it is. */
export function useMentioned(ids: readonly number[] | undefined, all: boolean | undefined): Names {
  const me = useClient((_, { me }) => me.id);
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
  const person = useClient((client) => client);
  return useCallback(
    (userId) => {
      const user = userId === null ? undefined : person.person(userId);
      if (user) openDialog({ kind: "person", user, roomId });
    },
    [person, roomId],
  );
}

/** Goes to a room or message of this server that an address names. */
export function useOpenRoom(): (roomId: number, seq?: number) => void {
  const { goTo } = usePlace();
  // biome-ignore lint/correctness/useExhaustiveDependencies: goTo is made anew at each drawing, and does the same
  return useCallback((roomId, seq) => goTo(roomId, seq), []);
}

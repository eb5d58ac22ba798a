import { createContext, useContext, useSyncExternalStore } from "react";
import type { SyncClient } from "../realtime/sync.ts";
import type { Engine } from "./engine.ts";

export const EngineContext = createContext<Engine | null>(null);

/** The running client of this session. */
export function useEngine(): Engine {
  const engine = useContext(EngineContext);
  if (!engine) throw new Error("useEngine is for what is shown to who is logged in");
  return engine;
}

/** Whether the line to the server is up. */
export const useIsLive = (): boolean => useClient((_, { line }) => line.state === "live");

/** What `select` gives, now and after each change: something that stays identical while it is the same. */
export function useClient<T>(select: (client: SyncClient, engine: Engine) => T): T {
  const engine = useEngine();
  return useSyncExternalStore(engine.subscribe, () => select(engine.client, engine));
}

import { Suspense, useEffect } from "react";
import { useLocation } from "wouter";
import { Login } from "./Login.tsx";
import { part } from "./loading.ts";
import { Register } from "./Register.tsx";
import { EngineContext } from "./session/hooks.ts";
import { useSession } from "./session/session.ts";

const Shell = part(() => import("./shell/Shell.tsx").then(({ Shell }) => ({ default: Shell })));
const Reset = part(() => import("./Reset.tsx").then(({ Reset }) => ({ default: Reset })));

/** One of: the form behind a link, the forms of who isn't logged in, the chat. */
export function App() {
  const engine = useSession((state) => state.engine);
  const isEntering = useSession((state) => state.isEntering);
  const reset = useSession((state) => state.reset);
  const invite = useSession((state) => state.invite);
  const [path, navigate] = useLocation();
  const isDoor = path === "/login" || path === "/register";

  // A room's address stays while its reader logs in, so that it is there afterwards.
  useEffect(() => {
    if (engine && isDoor)
      navigate((history.state as { from?: string } | null)?.from ?? "/", { replace: true });
    else if (!engine && !isEntering && invite !== null && path === "/")
      navigate("/register", { replace: true });
  }, [engine, isEntering, isDoor, invite, path, navigate]);

  if (reset !== null) {
    return (
      <Suspense fallback={null}>
        <Reset code={reset} />
      </Suspense>
    );
  }
  if (isEntering) return null;
  if (!engine) return path === "/register" ? <Register /> : <Login />;
  return (
    <EngineContext value={engine}>
      <Suspense fallback={null}>
        <Shell key={engine.me.id} />
      </Suspense>
    </EngineContext>
  );
}

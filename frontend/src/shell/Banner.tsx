import { WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { useText } from "../i18n/text.ts";
import { useClient, useEngine } from "../session/hooks.ts";

const SHOWN_AFTER_MS = 2_000; // not at each blip

/** Says that there is no connection, and when the next try comes. Writing goes on meanwhile. */
export function Banner() {
  const t = useText();
  const engine = useEngine();
  const line = useClient((_, { line }) => line);
  const [now, setNow] = useState(Date.now);
  const isDown = line.state !== "live";
  useEffect(() => {
    if (!isDown) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [isDown]);
  if (!isDown || line.downSince === null || now - line.downSince < SHOWN_AFTER_MS) return null;
  const seconds = line.nextTryAt === null ? 0 : Math.ceil((line.nextTryAt - now) / 1_000);
  const words =
    line.state === "stopped"
      ? t(line.stoppedBy === 4503 ? "banner.tooMany" : "banner.stopped")
      : line.state === "connecting" || seconds <= 0
        ? t("banner.connecting")
        : t("banner.waiting", { seconds });
  return (
    <div className="banner" role="status">
      <WifiOff aria-hidden size={18} />
      <p>
        {words} <span className="quiet">{line.state !== "stopped" && t("banner.kept")}</span>
      </p>
      {line.state !== "connecting" && (
        <button type="button" className="link-button" onClick={() => engine.reconnect()}>
          {t("banner.now")}
        </button>
      )}
    </div>
  );
}

import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import { useClient } from "../session/hooks.ts";
import { PanelHead } from "./PanelHead.tsx";
import { nameOf } from "./people.ts";
import { goTo } from "./routes.ts";
import { useWhen } from "./time.ts";
import "./panels.css";

/** The pinned messages of a room. Each leads to its place. */
export default function PinsPanel({ roomId, onClose }: { roomId: number; onClose(): void }) {
  const t = useText();
  const when = useWhen();
  const pins = useClient((client) => client.pins(roomId));
  return (
    <>
      <PanelHead title={t("panel.pins")} onClose={onClose} />
      <ul className="panel__body">
        {pins.map((row) => (
          <li key={row.seq}>
            <button type="button" className="found" onClick={() => goTo(roomId, row.seq)}>
              <span className="found__head">
                <b className="name" dir="auto">
                  {nameOf(row.sender)}
                </b>
                <time dateTime={row.created_at}>{when.full(row.created_at)}</time>
              </span>
              <span dir="auto">{plainText(row.content ?? "")}</span>
            </button>
          </li>
        ))}
        {pins.length === 0 && <li className="quiet">{t("pins.none")}</li>}
      </ul>
    </>
  );
}

import { MonitorSmartphone } from "lucide-react";
import { useCallback, useState } from "react";
import { wordsOf } from "../../forms/useForm.ts";
import { useText } from "../../i18n/text.ts";
import { deviceName } from "../../session/device.ts";
import { useEngine } from "../../session/hooks.ts";
import { bodyOf, Problem } from "../../session/http.ts";
import { logOutEverywhere } from "../../shell/leaving.ts";
import { useWhen } from "../../shell/time.ts";
import { announce, toast } from "../../shell/ui.ts";
import { focusBeside } from "../focusBeside.ts";
import { usePages } from "../usePages.ts";

/** The sessions of this account; each can be ended. */
export function Devices() {
  const t = useText();
  const when = useWhen();
  const engine = useEngine();
  const [fault, setFault] = useState("");
  const read = useCallback(async () => {
    const page = await bodyOf(engine.api.GET("/api/me/sessions"));
    return { ...page, items: [...page.items].sort((a, b) => Number(b.current) - Number(a.current)) };
  }, [engine]);
  const { items, fault: listFault, again } = usePages(read);

  async function end(id: number, row: Element | null): Promise<void> {
    setFault("");
    try {
      await engine.api.DELETE("/api/me/sessions/{session}", { params: { path: { session: id } } });
    } catch (problem) {
      // One that has ended already is what was wanted.
      if (!(problem instanceof Problem && problem.status === 404)) return setFault(wordsOf(problem, t));
    }
    announce(t("devices.ended"));
    focusBeside(row);
    again();
  }

  return (
    <>
      <p className="quiet">{t("devices.hint")}</p>
      <p className="form__fault" role="alert">
        {fault || listFault}
      </p>
      <ul className="rows" aria-busy={items === null && !listFault}>
        {items?.map(({ id, user_agent, created_at, last_used_at, current }) => (
          <li className="row" key={id}>
            <MonitorSmartphone aria-hidden size={20} />
            <div>
              <b title={user_agent} translate="no">
                {deviceName(user_agent) ?? t("devices.unknown")}
              </b>
              <small>
                {current
                  ? t("devices.current", { when: when.full(created_at) })
                  : t("devices.lastUsed", { when: when.full(last_used_at) })}
              </small>
            </div>
            {!current && (
              <button
                type="button"
                className="button"
                aria-label={t("devices.endOne", { device: deviceName(user_agent) ?? t("devices.unknown") })}
                onClick={(event) => void end(id, event.currentTarget.closest("li"))}
              >
                {t("devices.end")}
              </button>
            )}
          </li>
        ))}
      </ul>
      <div className="part form__row">
        <button
          type="button"
          className="button button--danger"
          onClick={() => logOutEverywhere(engine, t).catch((problem) => toast(wordsOf(problem, t)))}
        >
          {t("settings.logOutEverywhere")}
        </button>
      </div>
    </>
  );
}

import { useState } from "react";
import { useText } from "../../i18n/text.ts";
import { setPrefs, usePrefs } from "../../session/prefs.ts";
import { askPermission, permission } from "../../shell/notifications.ts";

export function NotificationSettings() {
  const t = useText();
  const isOn = usePrefs((prefs) => prefs.notifications);
  const sound = usePrefs((prefs) => prefs.sound);
  const [may, setMay] = useState(permission());
  return (
    <>
      {may === "none" && <p className="quiet">{t("notifications.none")}</p>}
      {may === "denied" && <p className="quiet">{t("notifications.denied")}</p>}
      {may === "default" && (
        <div className="form__row" style={{ justifyContent: "flex-start" }}>
          <button
            type="button"
            className="button button--main"
            onClick={() => void askPermission().then(setMay)}
          >
            {t("notifications.ask")}
          </button>
        </div>
      )}
      <label className="choice">
        <input
          type="checkbox"
          checked={isOn}
          onChange={(event) => setPrefs({ notifications: event.target.checked })}
        />
        <span>
          {t("notifications.on")}
          <small>{t("notifications.hint")}</small>
        </span>
      </label>
      <label className="choice">
        <input
          type="checkbox"
          checked={sound}
          onChange={(event) => setPrefs({ sound: event.target.checked })}
        />
        <span>{t("notifications.sound")}</span>
      </label>
    </>
  );
}

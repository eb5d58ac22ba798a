import { useText } from "../../i18n/text.ts";
import { setPrefs, usePrefs } from "../../session/prefs.ts";

export function Look() {
  const t = useText();
  const scheme = usePrefs((prefs) => prefs.scheme);
  const enter = usePrefs((prefs) => prefs.enter);
  return (
    <>
      <fieldset style={{ border: 0, padding: 0 }}>
        <legend className="field__label">{t("look.scheme")}</legend>
        {(["auto", "light", "dark"] as const).map((value) => (
          <label className="choice" key={value}>
            <input
              type="radio"
              name="scheme"
              checked={scheme === value}
              onChange={() => setPrefs({ scheme: value })}
            />
            <span>{t(`look.${value}`)}</span>
          </label>
        ))}
      </fieldset>
      <fieldset className="part" style={{ border: 0, padding: 0 }}>
        <legend className="field__label">{t("look.enter")}</legend>
        {(["auto", "sends", "breaks"] as const).map((value) => (
          <label className="choice" key={value}>
            <input
              type="radio"
              name="enter"
              checked={enter === value}
              onChange={() => setPrefs({ enter: value })}
            />
            <span>{t(`look.enter.${value}`)}</span>
          </label>
        ))}
      </fieldset>
      <p className="quiet">
        <a href="/third-party-notices.txt" target="_blank" rel="noopener noreferrer">
          {t("look.notices")}
        </a>
      </p>
    </>
  );
}

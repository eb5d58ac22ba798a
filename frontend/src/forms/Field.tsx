import { Check, Circle, Eye, EyeOff } from "lucide-react";
import { type ComponentProps, useId, useState } from "react";
import { useText } from "../i18n/text.ts";
import type { Rule } from "../session/rules.ts";
import "./forms.css";

interface FieldProps extends Omit<ComponentProps<"input">, "onChange" | "value" | "type"> {
  label: string;
  /** What stands under the field and isn't a fault. */
  hint?: string | undefined;
  value: string;
  onValue(value: string): void;
  /** What is wrong with it, in words. */
  fault?: string | undefined;
  /** Shown while one types. */
  rules?: readonly Rule[];
  type?: "text" | "email" | "password" | "search";
  optional?: boolean;
}

/** A labelled field with its rules and its fault, which is announced. A password can be shown. */
export function Field({
  label,
  hint,
  value,
  onValue,
  fault,
  rules = [],
  type = "text",
  optional,
  ...input
}: FieldProps) {
  const t = useText();
  const id = useId();
  const [isShown, show] = useState(false);
  const [isUsed, use] = useState(false);
  const isPassword = type === "password";
  const shownRules = isUsed || fault ? rules : [];
  const about = [hint && `${id}-hint`, shownRules.length > 0 && `${id}-rules`, fault && `${id}-fault`].filter(
    Boolean,
  );
  return (
    <div className="field">
      <label htmlFor={id}>
        {label}
        {optional && <span className="quiet"> {t("form.optional")}</span>}
      </label>
      <div className="field__box">
        <input
          id={id}
          type={isPassword && isShown ? "text" : type}
          value={value}
          dir="auto"
          aria-invalid={fault ? true : undefined}
          aria-describedby={about.join(" ") || undefined}
          autoCapitalize="none"
          autoCorrect="off"
          spellCheck={false}
          {...input}
          onChange={(event) => {
            use(true);
            onValue(event.target.value);
          }}
        />
        {isPassword && (
          <button
            type="button"
            className="field__eye"
            aria-pressed={isShown}
            aria-label={t("form.showPassword")}
            title={t("form.showPassword")}
            onClick={() => show(!isShown)}
          >
            {isShown ? <EyeOff aria-hidden size={18} /> : <Eye aria-hidden size={18} />}
          </button>
        )}
      </div>
      {hint && (
        <p className="field__hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {shownRules.length > 0 && (
        <ul className="field__rules" id={`${id}-rules`}>
          {shownRules.map(({ key, values, met }) => (
            <li key={key} data-met={met}>
              {met ? <Check aria-hidden size={14} /> : <Circle aria-hidden size={14} />}
              <span>{t(key, values)}</span>
              <span className="visually-hidden">{t(met ? "rule.met" : "rule.open")}</span>
            </li>
          ))}
        </ul>
      )}
      <p className="field__fault" id={`${id}-fault`} role="alert">
        {fault}
      </p>
    </div>
  );
}

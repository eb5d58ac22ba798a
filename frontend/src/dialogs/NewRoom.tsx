import { useState } from "react";
import { Field } from "../forms/Field.tsx";
import { useForm } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import { useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { useSession } from "../session/session.ts";
import { useActions } from "../shell/actions.ts";
import { Frame } from "./Frame.tsx";

export default function NewRoom({ onClose }: { onClose(): void }) {
  const t = useText();
  const engine = useEngine();
  const { enter } = useActions();
  const max = useSession((state) => state.rules.room_name_chars_max);
  const topicMax = useSession((state) => state.rules.topic_chars_max);
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [kind, setKind] = useState<"public" | "private">("public");
  const { faults, isBusy, onSubmit } = useForm(
    ["name", "topic"],
    () => ({
      name:
        name.trim() === ""
          ? t("form.missing")
          : [...name.trim()].length > max
            ? t("form.tooLong", { max })
            : undefined,
      topic: [...topic.trim()].length > topicMax ? t("form.tooLong", { max: topicMax }) : undefined,
    }),
    async () => {
      const body = { name: name.trim(), kind, ...(topic.trim() && { topic: topic.trim() }) };
      await enter(() => bodyOf(engine.api.POST("/api/chat/rooms", { body })));
      onClose();
    },
  );
  return (
    <Frame title={t("newRoom.title")} onClose={onClose}>
      <form className="form dialog__body" onSubmit={onSubmit} noValidate>
        <p className="form__fault" role="alert">
          {faults.get("")}
        </p>
        <Field
          label={t("newRoom.name")}
          name="name"
          value={name}
          onValue={setName}
          fault={faults.get("name")}
          autoComplete="off"
          autoFocus
        />
        <Field
          label={t("newRoom.topic")}
          name="topic"
          hint={t("newRoom.topic.hint")}
          optional
          value={topic}
          onValue={setTopic}
          fault={faults.get("topic")}
          autoComplete="off"
          autoCapitalize="sentences"
        />
        <fieldset className="rows" style={{ border: 0, padding: 0 }}>
          <legend className="field__label">{t("newRoom.kind")}</legend>
          {(["public", "private"] as const).map((value) => (
            <label className="choice" key={value}>
              <input type="radio" name="kind" checked={kind === value} onChange={() => setKind(value)} />
              <span>
                {t(`newRoom.${value}`)}
                <small>{t(`newRoom.${value}.hint`)}</small>
              </span>
            </label>
          ))}
        </fieldset>
        <div className="form__row">
          <button type="button" className="button" onClick={onClose}>
            {t("confirm.no")}
          </button>
          <button type="submit" className="button button--main" aria-disabled={isBusy}>
            {t("newRoom.submit")}
          </button>
        </div>
      </form>
    </Frame>
  );
}

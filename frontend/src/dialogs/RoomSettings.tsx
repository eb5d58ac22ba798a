import { useState } from "react";
import { Field } from "../forms/Field.tsx";
import { useForm } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import type { Notify } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { useSession } from "../session/session.ts";
import { useActions } from "../shell/actions.ts";
import { roomName } from "../shell/people.ts";
import { mayManage } from "./duties.ts";
import { Frame } from "./Frame.tsx";

/** A room's name, topic and end for those who may; for everybody what they want to be told of, and the way out. */
export default function RoomSettings({ roomId, onClose }: { roomId: number; onClose(): void }) {
  const t = useText();
  const actions = useActions();
  const info = useClient((client) => client.room(roomId)?.info);
  const [wished, wish] = useState<Notify | null>(null); // until the server has answered
  if (!info) return null;
  const isArchived = Boolean(info.archived_at);
  const close = (act: () => unknown) => (): void => {
    onClose();
    void act();
  };
  return (
    <Frame title={roomName(info)} onClose={onClose}>
      <div className="dialog__body">
        {mayManage(info) && !isArchived && (
          <Names roomId={roomId} name={info.name} topic={info.topic ?? ""} onDone={onClose} />
        )}
        <fieldset className="part" style={{ border: 0, padding: 0 }}>
          <legend className="field__label">{t("notify.title")}</legend>
          {(["all", "mentions", "none"] as const satisfies Notify[]).map((notify) => (
            <label className="choice" key={notify}>
              <input
                type="radio"
                name="notify"
                checked={(wished ?? info.notify ?? "all") === notify}
                onChange={() => {
                  wish(notify);
                  void actions.notify(roomId, notify).then(() => wish(null));
                }}
              />
              <span>{t(`notify.${notify}`)}</span>
            </label>
          ))}
        </fieldset>
        {mayManage(info) && (
          <section className="part">
            <h3>{t(isArchived ? "archive.back" : "archive.title")}</h3>
            <p className="quiet">{t(isArchived ? "archive.back.hint" : "archive.hint")}</p>
            <div className="form__row">
              <button
                type="button"
                className="button"
                onClick={close(() => actions.archive(roomId, !isArchived))}
              >
                {t(isArchived ? "archive.back" : "archive.title")}
              </button>
            </div>
          </section>
        )}
        {info.kind !== "direct" && (
          <div className="form__row part">
            {info.role === "owner" && (
              <button
                type="button"
                className="button button--danger"
                onClick={close(() => actions.deleteRoom(roomId))}
              >
                {t("deleteRoom.open")}
              </button>
            )}
            <button
              type="button"
              className="button button--danger"
              onClick={close(() => actions.leave(roomId))}
            >
              {t("leave.open")}
            </button>
          </div>
        )}
      </div>
    </Frame>
  );
}

function Names({
  roomId,
  name: nameNow,
  topic: topicNow,
  onDone,
}: {
  roomId: number;
  name: string;
  topic: string;
  onDone(): void;
}) {
  const t = useText();
  const { api } = useEngine();
  const rules = useSession((state) => state.rules);
  // A field that isn't edited here follows changes from elsewhere.
  const [newName, setName] = useState<string | null>(null);
  const [newTopic, setTopic] = useState<string | null>(null);
  const name = newName ?? nameNow;
  const topic = newTopic ?? topicNow;
  const tooLong = (text: string, max: number): string | undefined =>
    [...text.trim()].length > max ? t("form.tooLong", { max }) : undefined;
  const { faults, isBusy, onSubmit } = useForm(
    ["name", "topic"],
    () => ({
      name: name.trim() === "" ? t("form.missing") : tooLong(name, rules.room_name_chars_max),
      topic: tooLong(topic, rules.topic_chars_max),
    }),
    async () => {
      const body = {
        ...(name.trim() !== nameNow && { name: name.trim() }),
        ...(topic.trim() !== topicNow && { topic: topic.trim() }),
      };
      if (Object.keys(body).length > 0)
        await api.PATCH("/api/chat/rooms/{room}", { params: { path: { room: roomId } }, body });
      onDone();
    },
  );
  return (
    <form className="form" onSubmit={onSubmit} noValidate>
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
      />
      <Field
        label={t("newRoom.topic")}
        name="topic"
        optional
        value={topic}
        onValue={setTopic}
        fault={faults.get("topic")}
        autoComplete="off"
        autoCapitalize="sentences"
      />
      <div className="form__row">
        <button type="submit" className="button button--main" aria-disabled={isBusy}>
          {t("edit.save")}
        </button>
      </div>
    </form>
  );
}

import { useEffect, useState } from "react";
import { useText } from "../i18n/text.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { isolated, nameOf } from "../shell/people.ts";

/** Who is typing. Its place is always there, so that nothing moves. */
export function TypingLine({ roomId }: { roomId: number }) {
  const t = useText();
  const engine = useEngine();
  const version = useClient((client) => client.version);
  const [words, setWords] = useState("");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the client's state
  useEffect(() => {
    const names = engine.client.typists(roomId, Date.now()).map((user) => isolated(nameOf(user)));
    const [first = "", second = ""] = names;
    if (names.length === 0) setWords("");
    else if (names.length === 1) setWords(t("typing.one", { name: first }));
    else if (names.length === 2) setWords(t("typing.two", { first, second }));
    else setWords(t("typing.many", { name: first, count: names.length - 1 }));
  }, [engine, roomId, version, t]);
  return (
    <p className="typing" aria-live="off">
      {words !== "" && (
        <>
          <span className="typing__dots" aria-hidden>
            <i />
            <i />
            <i />
          </span>
          {words}
        </>
      )}
    </p>
  );
}

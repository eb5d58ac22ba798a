import { type ReactNode, useEffect } from "react";
import { useText } from "../i18n/text.ts";
import "./doorway.css";

interface DoorwayProps {
  title: string;
  lead: string;
  /** What people need to know first, such as why a session has ended. */
  notice?: readonly (string | false)[];
  children: ReactNode;
}

/** The page of who isn't logged in: one form in the middle. */
export function Doorway({ title, lead, notice = [], children }: DoorwayProps) {
  const t = useText();
  const said = notice.filter((line) => line !== false);
  useEffect(() => {
    document.title = t("title.page", { page: title });
  }, [t, title]);
  return (
    <div className="doorway">
      <main className="doorway__card">
        <header className="doorway__head">
          <img src="/favicon.svg" alt="" width={44} height={44} />
          <h1>{title}</h1>
          <p className="quiet">{lead}</p>
        </header>
        <div className="doorway__notice" role="status">
          {said.map((line) => (
            <p key={line}>{line}</p>
          ))}
        </div>
        {children}
      </main>
    </div>
  );
}

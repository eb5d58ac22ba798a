import { Component, type ReactNode } from "react";
import { useText } from "../i18n/text.ts";

/** A fault of the page's own never leaves it blank: it says so, and offers a way on. */
export class Mishap extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError(): { hasFailed: boolean } {
    return { hasFailed: true };
  }

  override render(): ReactNode {
    return this.state.hasFailed ? <WayOn /> : this.props.children;
  }
}

function WayOn() {
  const t = useText();
  return (
    <main className="doorway">
      <div className="doorway__card">
        <h1>{t("mishap.title")}</h1>
        <p>{t("mishap.text")}</p>
        <button type="button" className="button button--main" onClick={() => location.reload()}>
          {t("mishap.reload")}
        </button>
      </div>
    </main>
  );
}

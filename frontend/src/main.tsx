import "@fontsource-variable/atkinson-hyperlegible-next/index.css";
import "./styles.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { Catalogue } from "./i18n/Catalogue.tsx";
import texts from "./i18n/en.door.json";
import "./session/prefs.ts"; // the colours, before anything is shown
import { begin } from "./session/session.ts";
import { Mishap } from "./shell/Mishap.tsx";
import { allowOwnScripts } from "./trust.ts";

allowOwnScripts();

// A file that is dropped beside a place for it would replace the page.
for (const kind of ["dragover", "drop"] as const) {
  addEventListener(kind, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
}

begin();

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <Catalogue texts={texts}>
      <Mishap>
        <App />
      </Mishap>
    </Catalogue>
  </StrictMode>,
);

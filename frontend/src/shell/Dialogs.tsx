import { CSPProvider } from "@base-ui/react/csp-provider";
import { Suspense } from "react";
import { Confirm } from "../dialogs/Confirm.tsx";
import { part } from "../loading.ts";
import { loadSwitcher } from "./preloaded.ts";
import { closeDialog, type DialogOf, useUi } from "./ui.ts";
import { Waiting } from "./Waiting.tsx";

const Switcher = part(loadSwitcher);
const NewRoom = part(() => import("../dialogs/NewRoom.tsx"));
const Browse = part(() => import("../dialogs/Browse.tsx"));
const Settings = part(() => import("../dialogs/Settings.tsx"));
const RoomSettings = part(() => import("../dialogs/RoomSettings.tsx"));
const Invite = part(() => import("../dialogs/Invite.tsx"));
const Keys = part(() => import("../dialogs/Keys.tsx"));
const Person = part(() => import("../dialogs/Person.tsx"));
const ReactionsOf = part(() => import("../dialogs/ReactionsOf.tsx"));

/** What is open, one over the other. */
export default function Dialogs() {
  const dialogs = useUi((state) => state.dialogs);
  return (
    <CSPProvider disableStyleElements>
      {dialogs.map((dialog, index) => (
        <Suspense
          // biome-ignore lint/suspicious/noArrayIndexKey: they are a stack
          key={`${dialog.kind}-${index}`}
          fallback={<Waiting onDrop={() => closeDialog(dialog)} />}
        >
          <One dialog={dialog} />
        </Suspense>
      ))}
    </CSPProvider>
  );
}

function One({ dialog }: { dialog: DialogOf }) {
  const onClose = (): void => closeDialog(dialog);
  switch (dialog.kind) {
    case "switcher":
      return <Switcher onClose={onClose} />;
    case "newRoom":
      return <NewRoom onClose={onClose} />;
    case "browse":
      return <Browse onClose={onClose} />;
    case "settings":
      return <Settings tab={dialog.tab ?? "profile"} onClose={onClose} />;
    case "room":
      return <RoomSettings roomId={dialog.roomId} onClose={onClose} />;
    case "invite":
      return <Invite roomId={dialog.roomId} onClose={onClose} />;
    case "keys":
      return <Keys onClose={onClose} />;
    case "person":
      return <Person user={dialog.user} roomId={dialog.roomId} onClose={onClose} />;
    case "reactions":
      return <ReactionsOf roomId={dialog.roomId} seq={dialog.seq} onClose={onClose} />;
    case "confirm":
      return <Confirm question={dialog.question} onClose={onClose} />;
  }
}

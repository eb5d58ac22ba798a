import { Tabs } from "@base-ui/react/tabs";
import { Bell, KeyRound, Link2, MonitorSmartphone, Palette, UserRound } from "lucide-react";
import { useText } from "../i18n/text.ts";
import { Frame } from "./Frame.tsx";
import { Devices } from "./settings/Devices.tsx";
import { Invites } from "./settings/Invites.tsx";
import { Look } from "./settings/Look.tsx";
import { NotificationSettings } from "./settings/NotificationSettings.tsx";
import { Profile } from "./settings/Profile.tsx";
import { Security } from "./settings/Security.tsx";

const TABS = [
  ["profile", UserRound, Profile],
  ["security", KeyRound, Security],
  ["devices", MonitorSmartphone, Devices],
  ["invites", Link2, Invites],
  ["look", Palette, Look],
  ["notifications", Bell, NotificationSettings],
] as const;

interface SettingsProps {
  tab: (typeof TABS)[number][0];
  onClose(): void;
}

/** One's own account, and how the page behaves in this browser. */
export default function Settings({ tab, onClose }: SettingsProps) {
  const t = useText();
  return (
    <Frame title={t("settings.title")} size="l" onClose={onClose}>
      <Tabs.Root className="settings" defaultValue={tab} orientation="vertical">
        <Tabs.List className="settings__tabs" activateOnFocus>
          {TABS.map(([key, Icon]) => (
            <Tabs.Tab key={key} value={key}>
              <Icon aria-hidden size={18} />
              {t(`settings.${key}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {TABS.map(([key, , Panel]) => (
          <Tabs.Panel key={key} value={key} className="settings__panel">
            <Panel />
          </Tabs.Panel>
        ))}
      </Tabs.Root>
    </Frame>
  );
}

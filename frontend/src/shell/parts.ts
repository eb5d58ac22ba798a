// What is loaded once the rooms are there, so that it shows at once.

export const loadDialogs = () => import("./Dialogs.tsx");
export const loadSwitcher = () => import("../dialogs/Switcher.tsx");

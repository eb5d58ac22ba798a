// Code that is loaded as soon as the rooms are known, so that it shows without waiting.

export const loadDialogs = () => import("./Dialogs.tsx");
export const loadMenus = () => import("./Menus.tsx");
export const loadSwitcher = () => import("../dialogs/Switcher.tsx");

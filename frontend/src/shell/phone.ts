import { useSyncExternalStore } from "react";

const phone = matchMedia("(max-width: 719px)");
const subscribe = (act: () => void): (() => void) => {
  phone.addEventListener("change", act);
  return () => phone.removeEventListener("change", act);
};

/** On a phone the list, the room and its panel are screens of their own. */
export const isPhone = (): boolean => phone.matches;
export const useIsPhone = (): boolean => useSyncExternalStore(subscribe, isPhone);

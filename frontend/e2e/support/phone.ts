// The views in which a behaviour is tested, for those that hold on a phone, too.

export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** What a test's title ends with, and the context's options. */
export const VIEWS = [
  ["", {}],
  [" (phone)", PHONE],
] as const;

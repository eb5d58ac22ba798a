/** The keys of Apple's keyboards: Cmd in place of Ctrl. */
export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** The key that goes with a letter for the page's own commands. */
export const hasCommandKey = (event: { ctrlKey: boolean; metaKey: boolean }): boolean =>
  isMac ? event.metaKey : event.ctrlKey;

interface Composing {
  nativeEvent: { isComposing: boolean; keyCode: number };
}

/** An input method's own key, as Enter that ends a composition. Safari tells that by the code alone, after the end. */
export const isComposing = ({ nativeEvent }: Composing): boolean =>
  nativeEvent.isComposing || nativeEvent.keyCode === 229;

import { useClient } from "../session/hooks.ts";
import { useSession } from "../session/session.ts";

/** Whether a text may be sent: `content` as it goes, or null where it can't; `over`: so many characters too many. */
export interface Fitting {
  content: string | null;
  over: number;
  left: number;
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function asSent(text: string, max: number): Fitting {
  const content = text.replaceAll("\0", "").replace(LONE_SURROGATE, "\ufffd").trimEnd();
  // A long text is counted only where that matters.
  const length = content.length > 2 * max ? content.length : [...content].length;
  const over = Math.max(0, length - max);
  const isBlank = /^[\s\p{Cf}\p{Cc}\u115f\u1160\u3164\uffa0\u2800]*$/u.test(content);
  return { content: isBlank || over > 0 ? null : content, over, left: max - length };
}

/** How many characters the server takes in a message. */
export function useLimit(): number {
  const usual = useSession((state) => state.rules.content_chars_max);
  return useClient((client) => client.limits?.content_chars_max) ?? usual;
}

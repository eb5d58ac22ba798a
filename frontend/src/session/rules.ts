import type { FieldError, Limits } from "../protocol/types.ts";

/** What the server asks of a new account, until it has told its own figures. */
export const USUAL_LIMITS = {
  username_chars_min: 3,
  username_chars_max: 32,
  password_bytes_min: 8,
  password_bytes_max: 256,
  full_name_chars_max: 80,
  content_chars_max: 8_000,
  room_name_chars_max: 80,
  topic_chars_max: 250,
  search_chars_max: 200,
} satisfies Partial<Limits>;

export type Rules = { [K in keyof typeof USUAL_LIMITS]: number };

/** One rule of a field, and whether what is typed keeps it. */
export interface Rule {
  key:
    | "rule.username.length"
    | "rule.username.characters"
    | "rule.username.begins"
    | "rule.email.form"
    | "rule.password.length"
    | "rule.password.long"
    | "rule.password.again"
    | "rule.fullName.length";
  values?: Record<string, number>;
  met: boolean;
}

const charsOf = (text: string): number => [...text].length;
const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

const USERNAME_CHARS = /^(?:\p{XIDC}|\p{M}|\p{N}|[·._-]|\u200c|\u200d)+$/u;

/** What can be said of a username here; the server looks closer (PROTOCOL.md section 7.2). */
export function usernameRules(name: string, rules: Rules): Rule[] {
  const trimmed = name.trim();
  const chars = charsOf(trimmed);
  const { username_chars_min: min, username_chars_max: max } = rules;
  return [
    { key: "rule.username.length", values: { min, max }, met: chars >= min && chars <= max },
    {
      key: "rule.username.characters",
      met: USERNAME_CHARS.test(trimmed) && /[\p{L}\p{N}]/u.test(trimmed),
    },
    { key: "rule.username.begins", met: /^[\p{L}\p{N}_]/u.test(trimmed) },
  ];
}

export function emailRules(email: string): Rule[] {
  return [
    {
      key: "rule.email.form",
      met: /^[^\s@]+@[^\s@]+\.[^\s@]+$/u.test(email.trim()) && charsOf(email.trim()) <= 254,
    },
  ];
}

export function passwordRules(password: string, rules: Rules): Rule[] {
  const { password_bytes_min: min, password_bytes_max: max } = rules;
  const bytes = bytesOf(password);
  const length: Rule = { key: "rule.password.length", values: { min }, met: bytes >= min };
  return bytes > max ? [length, { key: "rule.password.long", values: { max }, met: false }] : [length];
}

export function againRules(password: string, again: string): Rule[] {
  return [{ key: "rule.password.again", met: again !== "" && password === again }];
}

export function fullNameRules(name: string, rules: Rules): Rule[] {
  const max = rules.full_name_chars_max;
  return [{ key: "rule.fullName.length", values: { max }, met: charsOf(name.trim()) <= max }];
}

/** The server's errors by field; those of fields that a form doesn't have are under "". */
export function byField(errors: readonly FieldError[], fields: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { field, message } of errors) {
    const key = fields.includes(field) ? field : "";
    found.set(key, [found.get(key), sentence(message)].filter(Boolean).join(" "));
  }
  return found;
}

/** The server's rules are phrases: "3 to 32 characters". */
const sentence = (phrase: string): string =>
  `${phrase.charAt(0).toUpperCase()}${phrase.slice(1)}${/[.!?]$/.test(phrase) ? "" : "."}`;

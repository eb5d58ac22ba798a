// A block of code: coloured once the worker has answered, with its language and a button that copies it.

import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { useText } from "../i18n/text.ts";
import { copyText } from "./copy.ts";
import { useTokens } from "./highlight.ts";

const COPIED_MS = 2_000;

export function CodeBlock({ lang, text }: { lang: string; text: string }) {
  const tokens = useTokens(text, lang);
  return (
    <div className="md-code" dir="ltr">
      <div className="md-code__bar">
        <span className="md-code__lang">{lang}</span>
        <CopyButton text={text} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <pre tabIndex={0}>
        <code>
          {tokens?.map(([piece, scope], index) =>
            scope ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: they change all at once
              <span key={index} className={`md-${scope}`}>
                {piece}
              </span>
            ) : (
              piece
            ),
          ) ?? text}
        </code>
      </pre>
    </div>
  );
}

function CopyButton({ text }: { text: string }) {
  const t = useText();
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null);
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(null), COPIED_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => setOutcome((await copyText(text)) ? "copied" : "failed");
  const Icon = outcome === "copied" ? Check : Copy;
  return (
    <button type="button" className="md-code__copy" onClick={copy}>
      <Icon aria-hidden size={14} />
      <span aria-live="polite">
        {t(
          outcome === "copied"
            ? "markdown.copied"
            : outcome === "failed"
              ? "markdown.notCopied"
              : "markdown.copy",
        )}
      </span>
    </button>
  );
}

import { useText } from "../i18n/text.ts";
import { useLimit } from "./fit.ts";

const COUNTED_FROM = 500; // characters left

/** How many characters are left, near the limit and beyond it. */
export function Count({ id, left }: { id: string; left: number }) {
  const t = useText();
  const max = useLimit();
  const isOver = left < 0;
  return (
    <p id={id} className="composer__count" data-over={isOver} role={isOver ? "alert" : undefined}>
      {isOver
        ? t("composer.over", { count: -left, max })
        : left <= COUNTED_FROM
          ? t("composer.left", { count: left })
          : ""}
    </p>
  );
}

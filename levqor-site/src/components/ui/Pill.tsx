import type { ReactNode } from "react";

import styles from "./Pill.module.css";

export type Tone = "ok" | "watch" | "act" | "unknown" | "plain";

const SIGNS: Record<Tone, string> = { ok: "●", watch: "▲", act: "■", unknown: "?", plain: "" };

/** A short state. Its sign differs with its tone, so that colour is never the only signal. */
export function Pill({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`${styles.pill} ${styles[tone]}`} title={title}>
      {SIGNS[tone] !== "" && <span aria-hidden="true">{SIGNS[tone]}</span>}
      {children}
    </span>
  );
}

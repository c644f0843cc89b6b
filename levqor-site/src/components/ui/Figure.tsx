import type { ReactNode } from "react";

import styles from "./Figure.module.css";

interface Props {
  label: string;
  /** The figure in words; "unknown" is drawn apart from any number. */
  value: string;
  /** Under it: how old it is, or what it is measured against. */
  note?: ReactNode;
  tone?: "plain" | "watch" | "act" | "unknown";
  children?: ReactNode;
}

/** One number that somebody acts upon. */
export function Figure({ label, value, note, tone = "plain", children }: Props) {
  return (
    <div className={`${styles.figure} ${styles[tone]}`} data-tone={tone}>
      <p className={styles.label}>{label}</p>
      <p className={styles.value}>{value}</p>
      {note !== undefined && <p className={styles.note}>{note}</p>}
      {children}
    </div>
  );
}

import { type ReactNode, useId } from "react";

import styles from "./Panel.module.css";

interface Props {
  title: string;
  /** Beside the title: a control, or how old the figures are. */
  aside?: ReactNode;
  /** Why there is nothing to show, instead of the content. */
  problem?: string | undefined;
  /** What fills the panel, shown while it is empty. */
  empty?: ReactNode;
  isStale?: boolean;
  className?: string | undefined;
  children?: ReactNode;
}

/** A titled part of a page in one of its states: content, empty with what fills it, or a problem; stale content is dimmed. */
export function Panel({ title, aside, problem, empty, isStale = false, className = "", children }: Props) {
  const heading = useId();
  return (
    <section className={`${styles.panel} ${className}`} aria-labelledby={heading} data-stale={isStale || undefined}>
      <header className={styles.header}>
        <h2 id={heading}>{title}</h2>
        <div className={styles.aside}>
          {isStale && <span className={styles.stale}>stale</span>}
          {aside}
        </div>
      </header>
      {problem !== undefined ? (
        <p className={styles.problem} role="alert">
          {problem}
        </p>
      ) : empty !== undefined && empty !== null ? (
        <div className={styles.empty}>{empty}</div>
      ) : (
        <div className={styles.content}>{children}</div>
      )}
    </section>
  );
}

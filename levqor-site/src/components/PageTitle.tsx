import type { ReactNode } from "react";

import styles from "./PageTitle.module.css";

/** A page's heading, with what it is for in one line, and its controls. */
export function PageTitle({ title, lead, children }: { title: string; lead: string; children?: ReactNode }) {
  return (
    <header className={styles.title}>
      <div>
        <h1>{title}</h1>
        <p>{lead}</p>
      </div>
      {children !== undefined && <div className={styles.controls}>{children}</div>}
    </header>
  );
}

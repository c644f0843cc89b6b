import type { ReactNode } from "react";

import styles from "./Table.module.css";

interface Props {
  /** What it lists, for who cannot see it. */
  label: string;
  /** A column of buttons has no name. */
  head: readonly string[];
  children: ReactNode;
}

/** Rows with a heading above each column; on a phone each row is a card, and a cell says its column by itself. */
export function Table({ label, head, children }: Props) {
  return (
    <table className={styles.table}>
      <caption className="visually-hidden">{label}</caption>
      <thead>
        <tr>
          {head.map((name) =>
            name === "" ? (
              <td key="acts" />
            ) : (
              <th key={name} scope="col">
                {name}
              </th>
            ),
          )}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

export function Cell({ of, children }: { of: string; children: ReactNode }) {
  return <td data-of={of}>{children}</td>;
}

"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { More } from "@/components/ui/More";
import { Cell, Table } from "@/components/ui/Table";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import type { Schemas } from "@/lib/api";
import { valueText } from "@/lib/settings";

import styles from "./Audit.module.css";

const POLL_MS = 10_000;
const FIRST = 25;

/** Who changed what, the newest first. */
export function Audit() {
  const [limit, setLimit] = useState(FIRST);
  const audit = useApi<Schemas["Audit"]>(`/ops/audit?limit=${limit}`, POLL_MS);
  return (
    <ReadPanel title="Audit log" read={audit} empty={({ audit: rows }) => rows.length === 0 && <p>Nobody has changed anything yet.</p>}>
      {({ audit: rows }) => (
        <>
          <Table label="Audit log" head={["when", "who", "what", "before → after"]}>
            {rows.map((row) => (
              <tr key={row.id} className={styles.row}>
                <td>
                  <Time at={row.at} />
                </td>
                <Cell of="by">{row.actor}</Cell>
                <td>
                  {row.what}
                  {row.note !== null && row.note !== "" && <span className={styles.quiet}> {row.note}</span>}
                </td>
                <td className={styles.quiet}>{changeText(row)}</td>
              </tr>
            ))}
          </Table>
          <More shown={rows.length} limit={limit} onMore={setLimit} />
        </>
      )}
    </ReadPanel>
  );
}

/** What was not recorded is left out: an act has no "before". */
function changeText(row: Schemas["AuditRow"]): string {
  const [before, after] = [row.before ?? null, row.after ?? null];
  if (before === null) return after === null ? "" : valueText(after);
  return `${valueText(before)} → ${valueText(after)}`;
}

"use client";

import { useDeferredValue, useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { InCode } from "@/components/ui/InCode";
import { Cell, Table } from "@/components/ui/Table";
import { Tabs } from "@/components/ui/Tabs";
import { useApi } from "@/hooks/useApi";
import { plural } from "@/lib/format";
import { type Setting, settingsWith, valueText } from "@/lib/settings";

import styles from "./Configuration.module.css";

const POLL_MS = 60_000;
const SHOWN = ["set", "all"] as const;
type Shown = (typeof SHOWN)[number];

/** Every setting that holds, and where its value came from; they are set where the service is started, not here. */
export function Configuration() {
  const settings = useApi<Record<string, Setting>>("/ops/config", POLL_MS);
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState<Shown>("set");
  const asked = useDeferredValue(typed);

  /** Who searches means any setting, not only those that somebody set. */
  function search(text: string) {
    setTyped(text);
    if (text !== "") setShown("all");
  }

  return (
    <ReadPanel title="Configuration" read={settings}>
      {(found) => {
        const rows = settingsWith(found, asked, shown === "set");
        return (
          <>
            <div className={styles.search} role="search">
              <label className={styles.field}>
                <span className="visually-hidden">Search the settings</span>
                <input type="search" value={typed} placeholder="Search by name, value, source or meaning" onChange={(event) => search(event.target.value)} />
              </label>
              <Tabs label="Which settings" options={SHOWN} value={shown} onChange={setShown} />
              <span role="status">{plural(rows.length, "setting")}</span>
            </div>
            {rows.length === 0 ? (
              <p>No setting is like that.</p>
            ) : (
              <Table label="Settings" head={["setting", "value", "source"]}>
                {rows.map(([name, setting]) => (
                  <tr key={name} className={styles.setting} data-set={setting.source !== "default" || undefined}>
                    <th scope="row">
                      <code>{name}</code>
                      <span><InCode text={setting.description ?? ""} /></span>
                    </th>
                    <Cell of="value">{valueText(setting.value)}</Cell>
                    <Cell of="from">{setting.source}</Cell>
                  </tr>
                ))}
              </Table>
            )}
          </>
        );
      }}
    </ReadPanel>
  );
}

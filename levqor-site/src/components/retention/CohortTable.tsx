"use client";

import { useState } from "react";

import { Panel } from "@/components/ui/Panel";
import { Tabs } from "@/components/ui/Tabs";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import type { Schemas } from "@/lib/api";
import { dayText, longDay } from "@/lib/days";
import { count } from "@/lib/format";

import { cellOf, reachedColumns } from "./cohortCells";
import styles from "./CohortTable.module.css";

type Cohorts = Schemas["Cohorts"];

const POLL_MS = 300_000;
const SPANS = ["day", "week", "month"] as const;
const MODES = { on: "on", "on or after": "on_or_after" } as const;
type ModeName = keyof typeof MODES;
const MODE_NAMES = Object.keys(MODES) as ModeName[];

/** People by when they were first seen, and how many of them came back when: darker is more. */
export function CohortTable() {
  const [by, setBy] = useState<Cohorts["by"]>("day");
  const [mode, setMode] = useState<ModeName>("on");
  const answer = useApi<Cohorts>(`/admin/retention/cohorts?by=${by}&mode=${MODES[mode]}`, POLL_MS);
  const now = useNow();
  // The answer before stays until the new one is there; it must not pass for it.
  const isOther = answer.data !== undefined && (answer.data.by !== by || answer.data.mode !== MODES[mode]);
  return (
    <Panel
      title="Cohorts"
      aside={
        <div className={styles.controls}>
          <Tabs label="Length of a cohort" options={SPANS} value={by} onChange={setBy} />
          <Tabs label="Who counts as kept" options={MODE_NAMES} value={mode} onChange={setMode} />
        </div>
      }
      problem={answer.data === undefined || isOther ? answer.error?.message : undefined}
      isStale={answer.data !== undefined && !isOther && (answer.isStaleAt(now) || answer.error !== undefined)}
      empty={emptyOf(answer.data, isOther)}
    >
      {answer.data !== undefined && !isOther && <Grid answer={answer.data} />}
    </Panel>
  );
}

function emptyOf(answer: Cohorts | undefined, isOther: boolean) {
  if (answer === undefined || isOther) return <p aria-busy="true">Counting…</p>;
  return answer.cohorts.length === 0 ? <p>The first cohort is there when its day is over.</p> : undefined;
}

function Grid({ answer }: { answer: Cohorts }) {
  const columns = reachedColumns(answer.cohorts, answer.columns);
  const on = answer.by === "day" ? "on" : "in";
  const when = answer.mode === "on" ? `${on} exactly that ${answer.by}` : `${on} that ${answer.by} or any later one`;
  return (
    <>
      <p className={styles.note}>
        Per cent of those first seen in a {answer.by} who were active {when}. In {answer.by} 0 they were first seen. Blank: not over yet on{" "}
        {longDay(answer.as_of)}, {answer.zone}.
      </p>
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="Cohort table">
        <table className={styles.table}>
          <caption className="visually-hidden">
            Cohorts by {answer.by}, the newest first: per cent active {when}
          </caption>
          <thead>
            <tr>
              <th scope="col" className={styles.start}>
                first seen
              </th>
              <th scope="col">people</th>
              {columns.map((column) => (
                <th key={column} scope="col">
                  <span className="visually-hidden">{answer.by} </span>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {answer.cohorts.map((cohort) => (
              <tr key={cohort.start}>
                <th scope="row" className={styles.start}>
                  {startText(cohort, answer.by)}
                </th>
                <td>{count(cohort.users)}</td>
                {columns.map((column) => {
                  const cell = cellOf(cohort, column, answer.by);
                  return (
                    <td key={column} className={styles.cell} data-level={cell.level ?? undefined} title={cell.text === "" ? undefined : cell.words}>
                      {cell.text === "" ? <span className="visually-hidden">{cell.words}</span> : cell.text}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function startText(cohort: Schemas["Cohort"], by: Cohorts["by"]): string {
  if (by === "month") return longDay(cohort.start).replace(/^\d+ /, "");
  return by === "week" ? `${dayText(cohort.start)} – ${dayText(cohort.end)}` : dayText(cohort.start);
}

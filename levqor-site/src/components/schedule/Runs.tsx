"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { More } from "@/components/ui/More";
import { Pill } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import type { Schemas } from "@/lib/api";
import { runLength } from "@/lib/schedule";

import { RUN_TONES } from "./Jobs";
import styles from "./Runs.module.css";

const POLL_MS = 5000;
const FIRST = 10;

/** Past runs, the newest first; each opens to the end of what it printed. */
export function Runs({ job }: { job: string | null }) {
  const [limit, setLimit] = useState(FIRST);
  const query = job === null ? "" : `&job=${encodeURIComponent(job)}`;
  const read = useApi<Schemas["JobRuns"]>(`/ops/schedule/runs?limit=${limit}${query}`, POLL_MS);
  const now = useNow();
  return (
    <ReadPanel
      title={job === null ? "History" : `History of ${job}`}
      read={read}
      empty={({ runs }) => runs.length === 0 && <p>{job === null ? "No job has run yet: the first due time fills this." : `${job} has not run yet.`}</p>}
    >
      {({ runs }) => (
        <>
          <ol>
            {runs.map((run) => (
              <li key={run.id}>
                <details className={styles.run}>
                  <summary>
                    <Pill tone={RUN_TONES[run.state]}>{run.state.replace("_", " ")}</Pill>
                    <span className={styles.job}>{run.job}</span>
                    <span className={styles.quiet}>
                      <Time at={run.started_at ?? run.due_at} />
                    </span>
                    <span className={styles.quiet}>{whyOf(run, now)}</span>
                  </summary>
                  {run.output === null || run.output.trim() === "" ? (
                    <p className={styles.quiet}>{run.ended_at === null ? "What it prints is shown once it has ended." : "It printed nothing."}</p>
                  ) : (
                    <pre className={styles.output} role="region" tabIndex={0} aria-label={`What run ${run.id} printed last`}>
                      {run.output}
                    </pre>
                  )}
                </details>
              </li>
            ))}
          </ol>
          <More shown={runs.length} limit={limit} onMore={setLimit} />
        </>
      )}
    </ReadPanel>
  );
}

function whyOf(run: Schemas["JobRunStory"], now: number): string {
  const length = runLength(run, now);
  return [
    length ?? "not begun",
    ...(run.exit_code === null ? [] : [`exit code ${run.exit_code}`]),
    ...(run.attempt > 1 ? [`attempt ${run.attempt}`] : []),
    run.asked_by === null ? "on schedule" : `asked by ${run.asked_by}`,
  ].join(", ");
}

"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Panel } from "@/components/ui/Panel";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Cell, Table } from "@/components/ui/Table";
import { Time } from "@/components/ui/Time";
import { useNow } from "@/hooks/useNow";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { span } from "@/lib/format";
import { dueText, type Job, type Run, runLength, triggerText } from "@/lib/schedule";

import styles from "./Jobs.module.css";

export const RUN_TONES: Record<Run["state"], Tone> = {
  asked: "watch",
  running: "watch",
  done: "ok",
  failed: "act",
  timed_out: "act",
  stopped: "unknown",
  lost: "unknown",
  missed: "unknown",
};

interface Props {
  jobs: readonly Job[];
  isStale: boolean;
  chosen: string | null;
  onChoose: (job: string | null) => void;
}

/** What runs when, how it went the last time, and a run now. */
export function Jobs({ jobs, isStale, chosen, onChoose }: Props) {
  const [asked, setAsked] = useState<Job | null>(null);
  const now = useNow();
  return (
    <Panel title="Jobs" isStale={isStale} aside={chosen !== null && <Button onClick={() => onChoose(null)}>History of all</Button>}>
      <Table label="Scheduled jobs" head={["job", "when", "next", "last run", ""]}>
        {jobs.map((job) => (
          <tr key={job.id} data-off={job.state === "off" || undefined} className={styles.job}>
            <th scope="row">
              <strong>{job.id}</strong>
              <span className={styles.quiet}>{job.summary}</span>
            </th>
            <Cell of="when">
              <span title={job.trigger}>{triggerText(job.trigger)}</span> {job.state !== "by_loop" && <span className={styles.quiet}>{job.zone}</span>}
            </Cell>
            <Cell of="next">
              <Next job={job} now={now} />
            </Cell>
            <Cell of="last run">
              <Last job={job} now={now} />
            </Cell>
            <td className={styles.acts}>
              {job.state !== "by_loop" && (
                <>
                  <Button aria-label={`History of ${job.id}`} aria-pressed={chosen === job.id} onClick={() => onChoose(job.id)}>
                    History
                  </Button>
                  <Button aria-label={`Run now… ${job.id}`} disabled={job.state === "asked" || job.state === "running"} onClick={() => setAsked(job)}>
                    Run now…
                  </Button>
                </>
              )}
            </td>
          </tr>
        ))}
      </Table>
      {asked !== null && <RunNow job={asked} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

function Next({ job, now }: { job: Job; now: number }) {
  if (job.state === "off") return <span title={job.off_because ?? undefined}>off: {job.off_because ?? "no reason given"}</span>;
  if (job.state === "by_loop") return <span className={styles.quiet}>all the time</span>;
  if (job.state === "asked" || job.state === "running") return <Pill tone="watch">{job.state === "asked" ? "asked for" : "runs now"}</Pill>;
  if (job.next_due_at === null) return "unknown";
  return (
    <>
      <Time at={job.next_due_at} /> {now > 0 && <span className={styles.quiet}>{dueText(job.next_due_at, now)}</span>}
    </>
  );
}

function Last({ job, now }: { job: Job; now: number }) {
  const run = job.last_run;
  if (run === null) return job.last_at === null ? <span className={styles.quiet}>never yet</span> : <Time at={job.last_at} />;
  const length = runLength(run, now);
  return (
    <>
      <Pill tone={RUN_TONES[run.state]}>{run.state.replace("_", " ")}</Pill> <Time at={run.started_at ?? run.due_at} />{" "}
      {length !== null && <span className={styles.quiet}>{length}</span>}
    </>
  );
}

function RunNow({ job, onClose }: { job: Job; onClose: () => void }) {
  const change = useChange();
  return (
    <Confirm
      title={`Run ${job.id} now?`}
      action="Run"
      onClose={onClose}
      onConfirm={async () => {
        await change<Schemas["RunAsked"]>("POST", `/ops/schedule/${encodeURIComponent(job.id)}/run`);
      }}
    >
      <p>{job.summary}</p>
      <p>
        The leader runs <code>{job.command}</code> once, and ends it after {span(job.grace_s)}. Its next due time stays as it is.
      </p>
    </Confirm>
  );
}
